"""What at least two services of Penstock use, and nothing else."""

"""What the embedding service keeps in SQL."""

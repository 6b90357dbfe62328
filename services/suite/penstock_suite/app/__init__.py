"""The composition roots: one module per command, and one per half of the local stack."""

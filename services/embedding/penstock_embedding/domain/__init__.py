"""What may be embedded, and in which batches: pure."""

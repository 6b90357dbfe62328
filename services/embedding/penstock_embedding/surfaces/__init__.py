"""How callers reach the embedding service."""

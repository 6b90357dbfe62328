"""The embedding service: texts to vectors, without torch."""

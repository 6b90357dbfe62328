"""The gRPC surface of the embedding service."""

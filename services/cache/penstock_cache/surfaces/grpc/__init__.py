"""The gRPC surface of the cache."""

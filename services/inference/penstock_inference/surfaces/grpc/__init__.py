"""The service's gRPC surface."""

"""The public gRPC surface."""

"""A Qdrant that fails as it is told: the part of its gRPC that keeps and finds points, over Qdrant Edge."""

"""A Qdrant server or cluster, over its gRPC with qdrant-client's messages.

Its high-level client is not used: it turns every message into models of pydantic and back, and asks a server's REST
interface for its version before anything else.
"""

"""Vectors with small payloads, found by nearness within one tenant; Qdrant keeps them, embedded or as a server."""

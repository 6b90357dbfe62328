"""Qdrant Edge in a process of its own: it keeps the interpreter's lock while it works."""

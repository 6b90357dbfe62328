"""How callers reach the cache."""

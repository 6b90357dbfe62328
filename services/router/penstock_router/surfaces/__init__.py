"""How callers reach the router."""

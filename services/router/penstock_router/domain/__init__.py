"""The ideas of routing, free of any wire."""

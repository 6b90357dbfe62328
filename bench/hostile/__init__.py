"""Hostile callers against the running suite, while honest ones work."""

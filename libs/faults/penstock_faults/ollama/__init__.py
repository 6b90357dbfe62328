"""Ollama's own interface, as a script says."""

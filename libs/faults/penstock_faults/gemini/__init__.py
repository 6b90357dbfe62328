"""Gemini's own interface, as a script says."""

"""Anthropic's messages, as a script says."""

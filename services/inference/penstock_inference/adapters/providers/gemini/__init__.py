"""Gemini, by its native ``generateContent``."""

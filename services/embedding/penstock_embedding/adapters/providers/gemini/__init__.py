"""Gemini's own embeddings."""

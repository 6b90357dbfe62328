"""Answers that are kept for whoever asks for them again, goes on from them, or has them made later."""

"""Anthropic's formats: Messages, the counting of their tokens, and the models."""

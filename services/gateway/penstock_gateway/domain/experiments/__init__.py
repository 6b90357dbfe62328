"""Experiments between models and prompts: who gets which variant, and what can be said of the difference, at any time."""

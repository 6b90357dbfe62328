"""Prompts: versions of templates by name, what stands in their places, and the labels that point to them."""

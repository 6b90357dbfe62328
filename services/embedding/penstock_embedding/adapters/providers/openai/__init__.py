"""Providers that speak OpenAI's embeddings format."""

"""Cohere's format of rankings, which Jina, vLLM and most others have taken over."""

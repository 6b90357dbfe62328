"""Ollama: OpenAI's chat completions, or its own API, which alone sets the size of the context."""

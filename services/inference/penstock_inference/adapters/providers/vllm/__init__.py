"""vLLM: OpenAI's chat completions, and what its server takes beside them."""

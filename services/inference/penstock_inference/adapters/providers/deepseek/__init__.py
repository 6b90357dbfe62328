"""DeepSeek's chat completions: OpenAI's format, with what an OpenAI-like provider may have of its own."""

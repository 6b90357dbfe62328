"""OpenAI's chat completions and embeddings, as a script says."""

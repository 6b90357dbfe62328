"""OpenAI's chat completions and embeddings, as a script says; on a raw socket, so that any byte can be the last."""

"""OpenAI's responses, as a script says."""

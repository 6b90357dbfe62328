"""Azure OpenAI's forms of them, as a script says."""

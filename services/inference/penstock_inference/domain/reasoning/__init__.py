"""A model's reasoning that is handed back to it: whose it is, who reads it, and what is kept of it for callers who cannot."""

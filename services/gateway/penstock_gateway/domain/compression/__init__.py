"""Makes long context shorter: what a question needs of it stays, verbatim."""

"""Whether the claims of an answer are supported by what was retrieved."""

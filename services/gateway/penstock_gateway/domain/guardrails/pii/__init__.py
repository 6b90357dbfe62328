"""Personal data and secrets in a text: found, replaced, and restored."""

"""How this gateway is."""

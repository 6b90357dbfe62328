"""How the router reaches what is outside of it."""

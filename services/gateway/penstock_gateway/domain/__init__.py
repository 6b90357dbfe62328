"""The ideas of the gateway, free of any wire."""

"""The gateway: the life of a request, from a key to a settled bill."""

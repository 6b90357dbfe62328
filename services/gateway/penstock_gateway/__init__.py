"""The gateway: the life of a request, from a key to a settled bill."""

__version__ = "0.1.0"

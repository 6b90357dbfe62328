"""The penstock command: every service in one process, with the parts it needs."""

__version__ = "0.1.0"

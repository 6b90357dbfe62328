"""Requests that pass as they are, over HTTP."""

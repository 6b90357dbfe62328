"""Calls that were made under a key, in SQL."""

"""Reads documents in processes of their own."""

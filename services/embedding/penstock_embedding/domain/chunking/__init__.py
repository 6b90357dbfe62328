"""Cutting texts into chunks."""

"""Kept answers, in SQL."""

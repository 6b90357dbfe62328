"""Feedback in SQL."""

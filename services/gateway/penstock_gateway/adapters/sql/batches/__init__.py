"""Batches in SQL, and the files that they read and write."""

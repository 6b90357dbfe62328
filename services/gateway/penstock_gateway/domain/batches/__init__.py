"""Batches: files of requests whose lines become jobs, and whose answers become files."""

"""Uploaded files in SQL: a part of the database with revisions of its own."""

"""A database in SQL, SQLite or PostgreSQL, that several services may share: each with its own tables and migrations."""

"""Keys and the ledger in SQL: SQLite or PostgreSQL."""

"""Messages to webhooks in SQL: what waits, what came of it, and which addresses want no more."""

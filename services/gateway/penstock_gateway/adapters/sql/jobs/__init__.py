"""Jobs in SQL: what waits, who is at it, what came of it, and what watchers are told."""

"""Reviews in SQL: what was flagged, who is at it, and what was decided."""

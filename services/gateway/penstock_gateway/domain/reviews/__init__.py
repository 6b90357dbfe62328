"""Answers and inputs that a person is to judge: what was flagged, who is at it, and what was decided."""

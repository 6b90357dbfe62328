"""Budgets in SQL: what was created and granted, and which alerts were told."""

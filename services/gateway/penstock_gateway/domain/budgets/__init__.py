"""Budgets: how much somebody may spend in a period, what follows from that, and who is told of it."""

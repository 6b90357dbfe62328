"""The guard: whether an answer to one text is fully right for another."""

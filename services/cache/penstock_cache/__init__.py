"""The cache service: answers that were given before, within one tenant."""

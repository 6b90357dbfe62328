"""The wire formats of vendors' HTTP APIs: one folder each, one line each in ``table``, and what they share."""

"""Answers that are to be JSON: checked against the schema that the caller asked for, and asked for again where they are not."""

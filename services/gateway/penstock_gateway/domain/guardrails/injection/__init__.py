"""Prompt injection: texts that would steer a model against its operator or its user if it obeyed them."""

"""Guardrails: what is looked for in what goes in and comes out."""

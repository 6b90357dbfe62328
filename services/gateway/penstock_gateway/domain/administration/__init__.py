"""Keeping tenants, users and keys: who may change what, and what is left in the audit log."""

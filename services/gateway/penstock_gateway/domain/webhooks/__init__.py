"""Telling others by HTTP what has happened, signed, until they have it: the form of Standard Webhooks."""

"""Counters behind the limiter: in this process, or in Redis for all that share them."""

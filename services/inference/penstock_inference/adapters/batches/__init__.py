"""Batch endpoints of upstreams."""

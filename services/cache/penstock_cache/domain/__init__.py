"""What may be cached, under which identity, for how long: pure."""

"""What may be used, by whom, in which time: limits, what binds a request, and what it takes of them."""

"""What a load would cost: what was observed, what would be otherwise, and what comes of it."""

"""What a local stack is: pure, but for the passing of time."""

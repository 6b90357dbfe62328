"""What all providers share that are asked over HTTP."""

"""What a request leaves behind: steps, spans, metrics, logs."""

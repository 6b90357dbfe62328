"""The ideas of the inference service: attempts, their timers, what a failure means."""

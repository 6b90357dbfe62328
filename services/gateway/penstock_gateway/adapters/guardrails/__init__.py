"""What detectors learned, read from the package."""

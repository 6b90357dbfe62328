"""What guards a text: detectors without I/O."""

"""What is looked for in what goes in and what comes out: pure detectors, one folder each."""

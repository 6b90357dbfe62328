"""Documents, as they are read out of files."""

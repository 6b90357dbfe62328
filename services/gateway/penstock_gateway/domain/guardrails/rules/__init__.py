"""What each kind of rule looks for in a text."""

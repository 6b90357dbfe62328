"""What the services say to one another: the values, free of any wire; ``wire`` has the methods and their codecs."""

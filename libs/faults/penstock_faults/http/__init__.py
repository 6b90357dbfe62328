"""What every wire over HTTP shares: a server on a raw socket, so that any byte can be the last, and what a format is."""

"""HTTP/1.1 for the wire formats, between sockets and a handler: strict, and bounded in everything (docs/adr/0011)."""

"""The gateway's composition roots: the gateway itself, its administration for the command line, copies of its database."""

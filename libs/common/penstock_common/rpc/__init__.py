"""How services call one another: one interface, two transports."""

"""How upstreams are, as the inference service tells it and the router hears it."""

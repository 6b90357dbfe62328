"""How callers reach the gateway: gRPC, and the wire formats of OpenAI and Anthropic."""

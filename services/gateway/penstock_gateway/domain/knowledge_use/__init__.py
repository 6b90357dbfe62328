"""How a chat uses knowledge bases: what it asks for, what the model reads of them, and what its answer cites."""

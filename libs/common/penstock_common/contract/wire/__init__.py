"""The methods of the contract: their paths, and their values as ``proto/`` writes them."""

"""How much one upstream is asked at once, and who waits: its provider's limits, limits that are learned, and a fair queue."""

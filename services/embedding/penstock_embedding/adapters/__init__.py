"""The model: its files, its graph, its runtime."""

"""Providers of models: a folder each, with the same file names in each."""

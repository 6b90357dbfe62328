"""Finding chunks: by meaning, by words, by both, and the best of them."""

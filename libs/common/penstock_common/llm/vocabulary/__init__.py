"""The vocabulary of the suite, by what it speaks of; ``types`` has all of it."""

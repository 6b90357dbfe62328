"""What people make of answers: keeping it, looking at it, and what follows from it."""

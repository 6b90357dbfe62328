"""The suite's vocabulary: conversations, generations, plans."""

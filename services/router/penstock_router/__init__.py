"""The routing decision: which candidates may answer, in which order, and why."""

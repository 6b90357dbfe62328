"""What was seen of a prompt."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """A prompt's task and complexity (low, medium or high), and how sure that is: confidences are in [0, 1].

    ``abstains``: too unsure to decide by. ``by_vector``: the prompt's embedding counted, and not its words alone.
    ``version`` is that of what looked at it.
    """

    task: str
    complexity: str
    task_confidence: float
    complexity_confidence: float
    abstains: bool
    by_vector: bool
    version: str

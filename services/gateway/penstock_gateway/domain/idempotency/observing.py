"""Who counts what is sent under a key."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Sent(StrEnum):
    """What a request under a key has come to."""

    FIRST = "first"
    """Nothing was known of it, and it was begun."""
    JOINED = "joined"
    """It was under way, and its answer is this one's, too."""
    REPLAYED = "replayed"
    """It had been answered, and is as it was then."""
    IN_PROGRESS = "in_progress"
    """It is under way, and its sender does not wait, or not any longer."""
    REUSED = "reused"
    """Another was sent under the key."""


CountSent = Callable[[Sent], None]
"""Counts; never raises, and returns at once."""


def nobody_counts(_: Sent) -> None:
    """Count nothing."""

"""What a failed attempt means: to the caller, to the next attempt, and to the upstream's standing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from penstock_common.errors import PenstockError


class Again(Enum):
    """Who may be asked after a failure."""

    HERE = "here"
    """The same upstream in a moment: what failed passes often."""
    OTHERS_FIRST = "others_first"
    """Another upstream; the same one once more where nobody else is left."""
    ELSEWHERE = "elsewhere"
    """Another upstream, and not this one: it would be silent, or refuse, again."""
    NOWHERE = "nowhere"
    """Nobody: the texts are at fault."""


@dataclass(eq=False)
class AttemptFailed(Exception):
    """One attempt at one upstream failed.

    ``cause`` is one of connect, cut, timeout, status, busy, rate_limited, key, malformed,
    dimensions, model, input: a metric's label. ``retry_after`` is what the upstream
    told, None where it told nothing.
    """

    error: PenstockError
    again: Again
    cause: str
    retry_after: timedelta | None = None

    @property
    def is_rate_limit(self) -> bool:
        """Whether the upstream is well, and asks for time."""
        return self.cause == "rate_limited"

    @property
    def is_our_key(self) -> bool:
        """Whether our own key was refused, which is no fault of the caller and does not pass."""
        return self.cause == "key"

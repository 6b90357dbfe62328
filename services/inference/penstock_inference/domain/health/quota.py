"""Quotas: who shares one, and until when it is used up."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

from penstock_inference.domain.health.rules import (
    LONGEST_UNTOLD_COOL_DOWN_SECONDS,
    UNTOLD_COOL_DOWN_SECONDS,
    HealthRules,
)

_LEAST_TOLD_SECONDS = 0.001
"""Who names a time shorter than this has named none."""


class Listener(Protocol):
    """Whom a quota's cool-down concerns."""

    def troubled(self) -> None:
        """Hear that it has begun, or that it is longer."""
        ...


class QuotaGroup:
    """One quota, of an upstream or of several; ``until`` is when it may be used again, and only ever moves away."""

    def __init__(self, name: str, rules: HealthRules) -> None:
        self.name = name
        self.until = 0.0
        self.since = 0.0
        self.listeners: WeakSet[Listener] = WeakSet()
        """The upstreams that draw on it, for as long as there are any."""
        self._rules = rules
        self.untold = 0
        """How many refusals in a row said nothing of when to come again."""

    def is_cooling(self, now: float) -> bool:
        """Return whether nobody of it is to be asked."""
        return now < self.until

    def refused(self, now: float, began: float, told_seconds: float | None) -> None:
        """Note a 429 to a request that ``began`` then; ``told_seconds`` is when to come again, None where it was not said.

        Refusals of requests that were under way when the cool-down began are one refusal.
        """
        if told_seconds is not None and told_seconds >= _LEAST_TOLD_SECONDS:
            seconds = told_seconds
        else:
            if began > self.since or not self.untold:
                self.untold += 1
            # 2^6 is beyond the longest.
            doubled = UNTOLD_COOL_DOWN_SECONDS * 2.0 ** min(self.untold - 1, 6)
            seconds = min(LONGEST_UNTOLD_COOL_DOWN_SECONDS, doubled)
        self.cool(now, seconds)

    def cool(self, now: float, seconds: float) -> None:
        """Let nobody of it be asked for so long; a shorter time than what is left changes nothing."""
        until = now + min(seconds, self._rules.longest_cool_down_seconds)
        if until <= self.until:
            return
        if not self.is_cooling(now):
            self.since = now
        self.until = until
        for listener in self.listeners:
            listener.troubled()

    def served(self, began: float) -> None:
        """Note an answer to a request that ``began`` then: there is quota again."""
        if began >= self.until:
            self.untold = 0

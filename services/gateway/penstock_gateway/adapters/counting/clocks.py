"""Which day it is, by Redis' clock: gateways whose own clocks differ turn to the next period together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

MOST_APART = timedelta(seconds=10)
"""A Redis that is further from this process' clock is not followed: one of the two is wrong, and nobody knows which."""
utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""This process' clock."""
_NO_GAP = timedelta()

_log = structlog.get_logger(__name__)


class SharedClock:
    """This process' clock, set by that of Redis each time that it is heard.

    What remains between gateways is half of a round trip, and what their clocks drift from one beat to the next.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._ahead = _NO_GAP
        self._is_apart = False

    def __call__(self) -> datetime:
        """Return the time that all gateways have."""
        return self._now() + self._ahead

    def own(self) -> datetime:
        """Return this process' own time."""
        return self._now()

    def heard(self, at_us: int, asked: datetime, answered: datetime) -> None:
        """Take in what Redis' clock was, in microseconds, between two moments of this process' own."""
        ahead = datetime.fromtimestamp(at_us / 1_000_000, UTC) - asked - (answered - asked) / 2
        is_apart = abs(ahead) > MOST_APART
        self._ahead = _NO_GAP if is_apart else ahead
        if is_apart and not self._is_apart:
            _log.error("clocks_apart", redis_is_ahead_seconds=round(ahead.total_seconds(), 3))
        self._is_apart = is_apart

"""A provider's allowance for any minute, kept on our side: whom it would refuse, waits here instead.

A token bucket in its form as a virtual clock (the generic cell rate algorithm, ITU-T I.371): one number, no timer, exact
under any order of takes. Pure: the clock is handed in.
"""

from __future__ import annotations

SECONDS_PER_MINUTE = 60.0
BURST_SECONDS = 10.0
"""So much of a minute's allowance may be used at once; providers count shorter times than the minute they tell of."""


class Allowance:
    """So many units in any minute, and a burst of a sixth of them; a single take larger than that is granted alone."""

    __slots__ = ("_ahead_most", "_due", "_seconds_per_unit")

    def __init__(self, per_minute: int, now: float) -> None:
        self._seconds_per_unit = SECONDS_PER_MINUTE / per_minute
        # One unit at least, however small the allowance.
        self._ahead_most = max(BURST_SECONDS, self._seconds_per_unit)
        # When everything that was taken will have been earned again.
        self._due = now

    def wait_seconds(self, units: float, now: float) -> float:
        """Return how long it takes until so many units are there; 0 where they are."""
        ahead = max(0.0, self._due - now)
        wanted = min(units * self._seconds_per_unit, self._ahead_most)
        return max(0.0, ahead + wanted - self._ahead_most)

    def take(self, units: float, now: float) -> None:
        """Take units that are there."""
        self._due = max(self._due, now) + units * self._seconds_per_unit

    def correct(self, units: float) -> None:
        """Take more, or give back (below 0), once it is known what an answer took."""
        self._due += units * self._seconds_per_unit

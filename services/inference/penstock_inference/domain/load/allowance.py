"""A provider's allowance for any minute, kept on our side: whom it would refuse, waits here instead.

A token bucket in its form as a virtual clock (the generic cell rate algorithm, ITU-T I.371): one number, no timer, exact
under any order of takes. Pure: the clock is handed in.
"""

from __future__ import annotations

from collections.abc import Callable

SECONDS_PER_MINUTE = 60.0
BURST_SECONDS = 10.0
"""So much of a minute's allowance may be used at once; providers count shorter times than the minute they tell of."""
_ROUNDING_SECONDS = 1e-9


def seconds_ahead(per_minute: float) -> float:
    """Return for how long ahead units may be used; one unit at least, however small the allowance."""
    return max(BURST_SECONDS, SECONDS_PER_MINUTE / per_minute)


class Allowance:
    """So many units in any minute, and a burst of a sixth of them; a single take larger than that is granted alone."""

    __slots__ = ("__weakref__", "_ahead_most", "_due", "_seconds_per_unit")

    is_asking = False
    """Nobody has to be asked."""

    def __init__(self, per_minute: float, now: float, spent_ratio: float = 0.0) -> None:
        """``spent_ratio`` of the burst is used up at first."""
        self._seconds_per_unit = SECONDS_PER_MINUTE / per_minute
        self._ahead_most = seconds_ahead(per_minute)
        # When everything that was taken will have been earned again.
        self._due = now + spent_ratio * self._ahead_most

    def listen(self, told: Callable[[], None]) -> None:
        """Tell nobody: what there will be is known."""

    def forget(self, told: Callable[[], None]) -> None:
        """Nobody was told."""

    async def answered(self) -> None:
        """Nothing is awaited."""

    def owed_units(self, now: float) -> float:
        """Return how many units were taken that are not earned again."""
        return max(0.0, self._due - now) / self._seconds_per_unit

    def wait_seconds(self, units: float, now: float) -> float:
        """Return how long it takes until so many units are there; 0 where they are."""
        ahead = max(0.0, self._due - now)
        wanted = min(units * self._seconds_per_unit, self._ahead_most)
        wait = ahead + wanted - self._ahead_most
        return wait if wait > _ROUNDING_SECONDS else 0.0

    def take(self, units: float, now: float) -> None:
        """Take units that are there."""
        self._due = max(self._due, now) + units * self._seconds_per_unit

    def correct(self, units: float, now: float) -> None:
        """Take more, or give back (below 0), once it is known what an answer took."""
        if units > 0:
            self.take(units, now)
        else:
            self._due += units * self._seconds_per_unit

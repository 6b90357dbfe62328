"""A vector store that fails is left alone for a moment: only the first request waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from penstock_common.contract.points import Count, Get, Matching, Nearest, Question, Scroll, Size
from penstock_common.outage import OutageGate
from penstock_common.points.store import PointsLate, PointsUnavailable
from penstock_common.sections import Qdrant

_SEARCHES = (Nearest, Matching)
_READS = (*_SEARCHES, Get, Count, Scroll, Size)


class Patience(NamedTuple):
    """What a search may take, what any other question may, and for how long a failing engine is left alone."""

    search: timedelta
    other: timedelta
    cool_down: timedelta


def patience_of(settings: Qdrant) -> Patience:
    """Return what the configuration says."""
    return Patience(settings.timeout, settings.write_timeout, settings.cool_down)


class TimedAsk(Protocol):
    """Brings a question to the engine and its answer back, within so many seconds."""

    async def __call__(self, question: Question, timeout: float, /) -> Any:  # noqa: ASYNC109 - as in Points
        """Return the answer."""
        ...


class GatedAsk:
    """Implements ``Ask`` with an engine; after a failure questions fail at once for the cool-down, but one that tries.

    Reading and writing fail apart: a full disk is still read. What is late in a time of its own,
    shorter than the engine's, is no failure while others are answered.
    """

    def __init__(
        self, what: str, ask: TimedAsk, patience: Patience, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._ask = ask
        self._search_seconds = patience.search.total_seconds()
        self._other_seconds = patience.other.total_seconds()
        self._reads = OutageGate(f"reading {what}", patience.cool_down, monotonic)
        self._writes = OutageGate(f"writing {what}", patience.cool_down, monotonic)

    async def __call__(self, question: Question, timeout: float | None, /) -> Any:  # noqa: ASYNC109 - as in Points
        """Return the answer."""
        gate = self._reads if isinstance(question, _READS) else self._writes
        if not gate.may_try():
            raise PointsUnavailable(f"{self._what} has failed and is left alone for a moment.", service="qdrant")
        seconds = self._seconds(question) if timeout is None else timeout
        try:
            answer = await self._ask(question, seconds)
        except PointsUnavailable as error:
            if isinstance(error, PointsLate) and seconds < self._seconds(question):
                gate.late(error, seconds)
            else:
                gate.failed(error)
            raise
        gate.succeeded()
        return answer

    def _seconds(self, question: Question) -> float:
        return self._search_seconds if isinstance(question, _SEARCHES) else self._other_seconds

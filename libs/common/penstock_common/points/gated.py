"""A vector store that fails is left alone for a moment: only the first request waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from penstock_common.contract.points import Count, Get, Nearest, Question, Scroll, Size
from penstock_common.outage import OutageGate
from penstock_common.points.asked import Ask
from penstock_common.points.store import PointsUnavailable

_READS = (Nearest, Get, Count, Scroll, Size)


class GatedAsk:
    """Implements ``Ask`` by another; after a failure questions fail at once for ``cool_down``, but one that tries.

    Reading and writing fail apart: a full disk is still read.
    """

    def __init__(
        self, what: str, ask: Ask, cool_down: timedelta, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._ask = ask
        self._reads = OutageGate(f"reading {what}", cool_down, monotonic)
        self._writes = OutageGate(f"writing {what}", cool_down, monotonic)

    async def __call__(self, question: Question, timeout: float | None, /) -> Any:  # noqa: ASYNC109 - as in Points
        """Return the answer."""
        gate = self._reads if isinstance(question, _READS) else self._writes
        if not gate.may_try():
            raise PointsUnavailable(f"{self._what} has failed and is left alone for a moment.", service="qdrant")
        try:
            answer = await self._ask(question, timeout)
        except PointsUnavailable as error:
            gate.failed(error)
            raise
        gate.succeeded()
        return answer

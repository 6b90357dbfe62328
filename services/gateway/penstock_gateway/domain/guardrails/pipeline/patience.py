"""How long text of an answer waits for its rules, and reading on meanwhile."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextvars import Context, copy_context

from penstock_common.llm.types import Batch

NEVER = math.inf


class Patience:
    """Since when the oldest characters of a text wait. Where rules make it longer or shorter, that is told a little off."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        # How many had come, and when.
        self._came: deque[tuple[int, float]] = deque()
        self._total = 0

    def note(self, came: int, held: int) -> None:
        """Take in that so many have come, and that so many of all wait."""
        self._total += came
        if held:
            self._came.append((self._total, self._clock()))
        while self._came and self._came[0][0] <= self._total - held:
            self._came.popleft()

    def forget(self) -> None:
        """Let what waits by now wait on."""
        self._came.clear()

    @property
    def due(self) -> float:
        """When the oldest have waited for as long as they may, by the clock; ``NEVER`` where none wait."""
        return self._came[0][1] + self._seconds if self._came else NEVER


class Reader:
    """Reads an answer for as long as its owner waits. A read that is not over goes on, until it is stopped."""

    def __init__(self, batches: AsyncIterator[Batch], clock: Callable[[], float]) -> None:
        self._batches, self._clock = batches, clock
        self._context: Context | None = None
        self._reading: asyncio.Task[Batch] | None = None

    async def next(self, due: float = NEVER) -> Batch | None:
        """Return the next batch; None where there is none by ``due``.

        Raises:
            StopAsyncIteration: at its end.
            PenstockError: whatever ends it.
        """
        reading = self._reading
        if due == NEVER and reading is None:
            return await anext(self._batches)
        left = None if due == NEVER else due - self._clock()
        if left is not None and left <= 0:
            return None
        if reading is None:
            if self._context is None:
                self._context = copy_context()
            reading = self._reading = asyncio.get_running_loop().create_task(self._read(), context=self._context)
        try:
            await asyncio.wait((reading,), timeout=left)
            if not reading.done():
                return None
            self._reading = None
            return reading.result()
        finally:
            # What it raises knows this frame, and would live on with all that it holds.
            del reading

    async def stop(self) -> None:
        """End a read that is not over: nothing else may be done with the answer before."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait((reading,))
            if not reading.cancelled():
                reading.exception()

    async def _read(self) -> Batch:
        return await anext(self._batches)

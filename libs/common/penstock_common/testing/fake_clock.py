"""A clock that a test moves, and what is scheduled on it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class Handle:
    """A scheduled call."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Unschedule."""
        self.callback = None


class FakeClock:
    """Time that moves when told, and fires what is due on the way."""

    def __init__(self) -> None:
        self.now = 100.0
        self._handles: list[tuple[float, int, Handle]] = []
        self._numbers = count()

    def time(self) -> float:
        """Return the present."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> Handle:
        """Schedule."""
        handle = Handle(callback)
        heapq.heappush(self._handles, (when, next(self._numbers), handle))
        return handle

    @property
    def scheduled(self) -> list[Callable[[], None]]:
        """What is to be called, in no order."""
        return [handle.callback for _, _, handle in self._handles if handle.callback is not None]

    async def advance(self, seconds: float) -> None:
        """Move on, once whoever can run has run, and let whoever was told go on."""
        await settle()
        end = self.now + seconds
        while self._handles and self._handles[0][0] <= end:
            when, _, handle = heapq.heappop(self._handles)
            self.now = max(self.now, when)
            if handle.callback is not None:
                handle.callback()
            await settle()
        self.now = end
        await settle()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)

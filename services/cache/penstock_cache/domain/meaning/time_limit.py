"""What is left of the time that looking by meaning may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


class TimeLeft:
    """Begins to run when it is made."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ends_at = monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self._ends_at <= self._monotonic()

    def seconds(self) -> float:
        """Return what is left.

        Raises:
            TimeoutError: if that is nothing.
        """
        left = self._ends_at - self._monotonic()
        if left <= 0:
            raise TimeoutError("looking by meaning took too long")
        return left

    async def bound(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Return the work's result; it is not begun where no time is left.

        Raises:
            TimeoutError: if it is not there in time.
        """
        async with asyncio.timeout(self.seconds()):
            return await work()

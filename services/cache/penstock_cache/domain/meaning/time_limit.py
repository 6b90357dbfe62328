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

    def seconds(self) -> float:
        """Return what is left.

        Raises:
            TimeoutError: if that is nothing.
        """
        left = self._ends_at - self._monotonic()
        if left <= 0:
            raise TimeoutError("looking by meaning took too long")
        return left

    async def bound(self, work: Awaitable[ResultT]) -> ResultT:
        """Return the work's result.

        Raises:
            TimeoutError: if it is not there in time.
        """
        async with asyncio.timeout(self.seconds()):
            return await work

"""What a scripted upstream waits at until somebody opens it: order without clocks."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Gates:
    """Gates by name, each shut until it is opened."""

    def __init__(self) -> None:
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def open(self, name: str) -> None:
        """Let everybody through who waits there, and who comes."""
        self._gates[name].set()

    async def opened(self, name: str) -> None:
        """Return once it is open."""
        await self._gates[name].wait()

"""Tells those who wait in this process that there is something to look at: nobody relies on it, as others do not hear it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable


class Bell:
    """Rings for the queue, and for single jobs. Who waits looks again after a while, whether it rang or not."""

    def __init__(self) -> None:
        self._queue = asyncio.Event()
        self._jobs: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._on_cancel: list[Callable[[str], None]] = []

    def ring_queue(self) -> None:
        """Say that a job waits."""
        self._queue.set()

    async def queue(self, seconds: float) -> None:
        """Return when a job waits, or after so long."""
        await _rung(self._queue, seconds)
        self._queue.clear()

    def ring(self, job_id: str) -> None:
        """Say that something has happened to a job."""
        for event in self._jobs.get(job_id, ()):
            event.set()

    def ring_cancel(self, job_id: str) -> None:
        """Say that a job was asked to end: who runs it in this process need not wait for its next heartbeat."""
        for heard in self._on_cancel:
            heard(job_id)
        self.ring(job_id)

    def on_cancel(self, heard: Callable[[str], None]) -> None:
        """Have ``heard`` called with each job that was asked to end."""
        self._on_cancel.append(heard)

    def listen(self, job_id: str) -> Listening:
        """Return what hears of a job from now on; close it."""
        event = asyncio.Event()
        self._jobs[job_id].add(event)

        def close() -> None:
            listeners = self._jobs[job_id]
            listeners.discard(event)
            if not listeners:
                del self._jobs[job_id]

        return Listening(event, close)


class Listening:
    """Hears of one job."""

    def __init__(self, event: asyncio.Event, close: Callable[[], None]) -> None:
        self._event = event
        self.close = close
        """Hear no more."""

    async def heard(self, seconds: float) -> None:
        """Return when something has happened since the last time, or after so long."""
        await _rung(self._event, seconds)
        self._event.clear()


async def _rung(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

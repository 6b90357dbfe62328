"""Threads for rules that take milliseconds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from penstock_gateway.domain.guardrails.pipeline.judging import TooMuchWaits
from penstock_gateway.domain.guardrails.pipeline.rule import Found
from penstock_gateway.domain.guardrails.pipeline.waiting import waited_for


class Threads:
    """Implements ``Beside``. What is late goes on in its thread to its next part, and nobody hears of it; what waits for one does not begin.

    Work that is long has as many threads of its own.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._short, self._long = _Pool(threads, waiting, "guardrails"), _Pool(threads, waiting, "guardrails-long")

    async def run(self, work: Callable[[], Sequence[Found]], *, is_long: bool = False) -> Sequence[Found]:
        """Return what the work returns, as ``Beside`` says."""
        return await (self._long if is_long else self._short).run(work)

    def close(self) -> None:
        """Begin nothing more."""
        self._short.close()
        self._long.close()


class _Pool:
    def __init__(self, threads: int, waiting: int, name: str) -> None:
        self._most = threads + waiting
        self._pool = ThreadPoolExecutor(threads, name)
        self._under_way = 0

    async def run(self, work: Callable[[], Sequence[Found]]) -> Sequence[Found]:
        if self._under_way >= self._most:
            raise TooMuchWaits(f"{self._under_way} looks are under way")
        is_left = threading.Event()
        future = self._pool.submit(waited_for(work, is_left))
        self._under_way += 1
        future.add_done_callback(self._note_end_of(asyncio.get_running_loop()))
        try:
            return await asyncio.wrap_future(future)
        finally:
            is_left.set()

    def _note_end_of(self, loop: asyncio.AbstractEventLoop) -> Callable[[object], None]:
        def note(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._note_end)

        return note

    def _note_end(self) -> None:
        self._under_way -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

"""Writing together what comes at the same time: one transaction for many small changes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from penstock_common.errors import ServiceUnavailable

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

MOST_ITEMS, MOST_WEIGHT = 64, 4 * 1024 * 1024
"""In one transaction: others want to write as well. ``MOST_WEIGHT`` is in whatever ``weigh`` measures, bytes as a rule."""


class Gathering(Generic[ItemT, ResultT]):
    """Hands what comes while something is being written to the next write, all of it at once.

    Who comes alone waits for nobody. Nothing is kept until ``put`` has returned.
    """

    def __init__(
        self, write: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT]]], weigh: Callable[[ItemT], int]
    ) -> None:
        """``write`` keeps all of them or none, and returns what came of each; an item of more than all may weigh goes alone."""
        self._write = write
        self._weigh = weigh
        self._waiting: deque[tuple[ItemT, asyncio.Future[ResultT]]] = deque()
        self._in_hand: Sequence[tuple[ItemT, asyncio.Future[ResultT]]] = ()
        self._writing: asyncio.Task[None] | None = None

    async def put(self, item: ItemT) -> ResultT:
        """Return what came of writing an item.

        Raises:
            Exception: whatever ``write`` raises; where it is not that the database is away, of this item alone.
        """
        done: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._run())
        try:
            return await done
        finally:
            self._end_unless_awaited()

    def _end_unless_awaited(self) -> None:
        is_awaited = any(not done.done() for _, done in (*self._in_hand, *self._waiting))
        if self._writing is not None and not is_awaited:
            self._writing.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                self._in_hand = self._next()
                await self._written(self._in_hand)
                self._in_hand = ()
        finally:
            self._writing, self._in_hand = None, ()
            if any(not done.done() for _, done in self._waiting):
                # They came while this one was being cancelled.
                self._writing = asyncio.create_task(self._run())

    def _next(self) -> Sequence[tuple[ItemT, asyncio.Future[ResultT]]]:
        taken, weight = list[tuple[ItemT, asyncio.Future[ResultT]]](), 0
        while self._waiting and len(taken) < MOST_ITEMS:
            weight += self._weigh(self._waiting[0][0])
            if taken and weight > MOST_WEIGHT:
                break
            taken.append(self._waiting.popleft())
        return taken

    async def _written(self, taken: Sequence[tuple[ItemT, asyncio.Future[ResultT]]]) -> None:
        # Nobody waits any more for those that were cancelled.
        taken = [one for one in taken if not one[1].done()]
        if not taken:
            return
        try:
            results = await self._write([item for item, _ in taken])
        except Exception as error:  # noqa: BLE001 - it is told to whoever waits
            if len(taken) > 1 and not isinstance(error, ServiceUnavailable):
                # One of them is why: the others are written without it.
                for one in taken:
                    await self._written([one])
                return
            for _, done in taken:
                with suppress(asyncio.InvalidStateError):
                    done.set_exception(error)
            return
        for (_, done), result in zip(taken, results, strict=True):
            with suppress(asyncio.InvalidStateError):
                done.set_result(result)

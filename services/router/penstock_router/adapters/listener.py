"""Hears in the background how upstreams are, so that no request waits for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from penstock_common.upstreams.state import States, Unheard, Word, merged

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """Where the words of all replicas of the inference service are; see ``Board`` and ``RedisFeed``."""

    async def words(self) -> list[Word]:
        """Return what is said now; raise ``Unheard`` where nothing can be."""
        ...


class Listener:
    """Passes on what is heard. What was heard last is forgotten once it is too old to be believed."""

    def __init__(
        self,
        source: Source,
        hear: Callable[[States], None],
        believed_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._hear = hear
        self._believed_seconds = believed_seconds
        self._clock = clock
        self._heard_at = -math.inf
        self._is_deaf = False

    async def run(self, every_seconds: float) -> None:
        """Listen for ever; never return, and never fail."""
        while True:
            await asyncio.sleep(every_seconds)
            await self.listen()

    async def listen(self) -> None:
        """Hear once; where nothing can be heard, nothing happens but a line in the log, and in time the end of belief."""
        try:
            states = merged(await self._source.words())
        except Exception as error:  # noqa: BLE001 - whatever stands in Redis, plans are made without
            if not self._is_deaf:
                unexpected = None if isinstance(error, Unheard) else error
                _log.warning("upstreams_not_heard", reason=str(error), exc_info=unexpected)
            self._is_deaf = True
            if self._clock() - self._heard_at > self._believed_seconds:
                self._hear({})
        else:
            self._is_deaf = False
            self._heard_at = self._clock()
            self._hear(states)

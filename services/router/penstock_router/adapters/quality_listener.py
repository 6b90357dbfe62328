"""Reads in the background how good answers were found to be, so that no request waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from penstock_common.upstreams.quality import Qualities, QualityUnheard

_log = structlog.get_logger(__name__)


class QualitySource(Protocol):
    """Where gateways say it; see ``QualityBoard`` and ``RedisQualityFeed``."""

    async def read(self) -> Qualities:
        """Return what is said now; raise ``QualityUnheard`` where nothing can be."""
        ...


class QualityListener:
    """Passes on what is read. What was read last holds until something else is: opinions of weeks outlive an outage."""

    def __init__(self, source: QualitySource, hear: Callable[[Qualities], None]) -> None:
        self._source = source
        self._hear = hear
        self._is_deaf = False

    async def run(self, every_seconds: float) -> None:
        """Listen for ever; never return, and never fail."""
        while True:
            await self.listen()
            await asyncio.sleep(every_seconds)

    async def listen(self) -> None:
        """Read once; where nothing can be read, nothing happens but a line in the log."""
        try:
            qualities = await self._source.read()
        except Exception as error:  # noqa: BLE001 - whatever stands in Redis, plans are made without
            if not self._is_deaf:
                unexpected = None if isinstance(error, QualityUnheard) else error
                _log.warning("quality_not_heard", reason=str(error), exc_info=unexpected)
            self._is_deaf = True
        else:
            self._is_deaf = False
            self._hear(qualities)

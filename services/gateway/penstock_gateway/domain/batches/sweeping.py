"""Has nothing stay behind: files that have expired, uploads that were never finished, and batches that nobody carries on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.batches.files import FileStore
from penstock_gateway.domain.batches.ports import BatchStore

_LONGEST_UPLOAD = timedelta(days=1)
_AT_ONCE = 100

_log = structlog.get_logger(__name__)


class Sweeper:
    """Looks after batches and files, every so often."""

    def __init__(self, files: FileStore, batches: BatchStore, every: timedelta) -> None:
        self._files = files
        self._batches = batches
        self._every = every.total_seconds()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.sweep(datetime.now(UTC))
            except ServiceUnavailable as error:
                _log.warning("batches_not_swept", reason=str(error))
            except Exception as error:  # noqa: BLE001 - what it looks after can wait; requests cannot
                _log.error("unexpected_error", exc_info=error)

    async def sweep(self, now: datetime) -> None:
        """Sweep once."""
        while await self._files.sweep(now, now - _LONGEST_UPLOAD, _AT_ONCE) == _AT_ONCE:
            pass
        await self._batches.carry_again(now, _AT_ONCE)

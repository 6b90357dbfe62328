"""Who counts what becomes of jobs, and how deep the queue is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.jobs.job import Job
from penstock_gateway.domain.jobs.ports import Depth, JobStore

_log = structlog.get_logger(__name__)


class JobObserver(Protocol):
    """Counts; never raises, and returns at once."""

    def began(self, job: Job, waited: timedelta) -> None:
        """See an attempt begin, so long after the job was due."""
        ...

    def attempted(self, job: Job, outcome: str, took: timedelta) -> None:
        """See an attempt end: by a state in which the job has ended, ``put_back``, ``handed_back`` or ``lost``."""
        ...

    def reclaimed(self, job: Job) -> None:
        """See a job that was taken from a worker that is gone, or that has expired while it waited, as it stands now."""
        ...


class NobodyCounts:
    """Implements ``JobObserver`` where nobody does."""

    def began(self, job: Job, waited: timedelta) -> None:
        """See nothing."""

    def attempted(self, job: Job, outcome: str, took: timedelta) -> None:
        """See nothing."""

    def reclaimed(self, job: Job) -> None:
        """See nothing."""


class DepthWatch:
    """Knows how deep the queue is; every process that looks sees the same."""

    def __init__(self, store: JobStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now
        self.depths: Sequence[Depth] = ()
        """Of all tenants, at the last look."""
        self.looked_at: datetime | None = None

    async def run(self, every: timedelta, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look after each interval, until cancelled; what is known stays while the database is away."""
        while True:
            try:
                self.depths, self.looked_at = await self._store.depths(), self._now()
            except ServiceUnavailable as error:
                _log.warning("job_depths_not_read", reason=str(error))
            await sleep(every.total_seconds())

"""Sees to jobs that nobody is at: of workers that are gone, whose time is over, and that are old."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.job import Job
from penstock_gateway.domain.jobs.lost import LostAttempts
from penstock_gateway.domain.jobs.observing import JobObserver, NobodyCounts
from penstock_gateway.domain.jobs.ports import JobQueue

_log = structlog.get_logger(__name__)

_AT_ONCE = 200
"""Of each kind, in one transaction: it must not keep others from writing."""
_FORGET_EVERY = timedelta(minutes=1)
_PAUSE_SECONDS = 0.05
_LANE_KEPT = timedelta(days=1)
"""After its last job began: each is looked at with every claim."""


class TidyingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How often is looked, and how long it is known how a job ended."""

    every: timedelta = timedelta(seconds=5)
    kept: timedelta = timedelta(days=30)


class Tidying:
    """Looks again and again. Any number of processes may: each job is taken by one of them."""

    def __init__(self, queue: JobQueue, bell: Bell, lost: LostAttempts, terms: TidyingTerms) -> None:
        self.observer: JobObserver = NobodyCounts()
        """Who counts what was reclaimed."""
        self._queue = queue
        self._bell = bell
        self._lost = lost
        self._terms = terms
        self._forget_at = 0.0

    async def run(self) -> None:
        """Look until it is cancelled."""
        every = self._terms.every.total_seconds()
        while True:
            # Not all processes at once.
            await asyncio.sleep(every * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            try:
                await self.look()
            except ServiceUnavailable as error:
                _log.warning("jobs_not_tidied", reason=str(error))
            except Exception as error:  # noqa: BLE001 - nobody else would look
                _log.error("jobs_not_tidied", exc_info=error)

    async def look(self) -> None:
        """Look once.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        while reclaimed := await self._queue.reclaim(datetime.now(UTC), datetime.now(UTC), _AT_ONCE):
            _log.warning("jobs_reclaimed", jobs=len(reclaimed))
            self._tell(reclaimed)
            for job in reclaimed:
                await self._lost.bill(job)
            if len(reclaimed) < _AT_ONCE:
                break
        while expired := await self._queue.expire(datetime.now(UTC), _AT_ONCE):
            self._tell(expired)
            if len(expired) < _AT_ONCE:
                break
        await self._forget()

    async def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._forget_at:
            return
        self._forget_at = now + _FORGET_EVERY.total_seconds()
        while True:
            before = datetime.now(UTC) - self._terms.kept
            if await self._queue.forget(datetime.now(UTC), before, _AT_ONCE) < _AT_ONCE:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        while True:
            if await self._queue.forget_lanes(datetime.now(UTC) - _LANE_KEPT, _AT_ONCE) < _AT_ONCE:
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    def _tell(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._bell.ring(job.id)
            self.observer.reclaimed(job)
        self._bell.ring_queue()

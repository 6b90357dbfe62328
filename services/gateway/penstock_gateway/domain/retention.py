"""How long the ledger and the audit log are kept: old rows go in small batches, and only those that may."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

BATCH_ROWS = 500
"""Deleted at a time, so that nobody who writes waits for long."""
PAUSE = timedelta(milliseconds=100)
"""What lies between two batches."""

Sleep = Callable[[float], Awaitable[None]]

_log = structlog.get_logger(__name__)


class History(Protocol):
    """Rows of which each has a time: the ledger, or the audit log."""

    @property
    def name(self) -> str:
        """Which of them."""
        ...

    async def cut(self, before: datetime, limit: int, *, exported_only: bool) -> int:
        """Delete the oldest rows of before a time, ``limit`` at most; return how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A history, and how long its rows are kept."""

    history: History
    age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """When to look, and which rows may go."""

    every: timedelta
    export_first: bool = True
    """Whether rows that no export has taken stay, however old they are."""


class Retention:
    """Cuts histories. Several processes may do it at once: each takes rows that are still there."""

    def __init__(
        self,
        kept: Sequence[Kept],
        rule: RetentionRule,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._kept = kept
        self._rule = rule
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Cut now, and again after each interval, until cancelled."""
        while True:
            for kept in self._kept:
                await self._cut(kept)
            await self._sleep(self._rule.every.total_seconds())

    async def _cut(self, kept: Kept) -> None:
        before, total = self._now() - kept.age, 0
        try:
            while True:
                count = await kept.history.cut(before, BATCH_ROWS, exported_only=self._rule.export_first)
                total += count
                if count < BATCH_ROWS:
                    break
                await self._sleep(PAUSE.total_seconds())
        except Exception as error:  # noqa: BLE001 - a database that is away is asked again after the interval
            _log.error("retention_failed", history=kept.history.name, reason=str(getattr(error, "orig", error)))
        if total:
            _log.info("retention_cut", history=kept.history.name, rows=total, before=before.isoformat())

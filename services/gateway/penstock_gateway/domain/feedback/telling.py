"""Telling the router what feedback says of candidates, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from typing import Protocol

import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_common.upstreams.quality import Qualities, QualityUnheard
from penstock_gateway.domain.administration.audit import utc_now
from penstock_gateway.domain.feedback.ports import FeedbackStore
from penstock_gateway.domain.feedback.quality import QualityRule, qualities

_log = structlog.get_logger(__name__)


class Told(Protocol):
    """Where routers read it; see ``QualityBoard`` and ``RedisQualityFeed``."""

    async def tell(self, qualities: Qualities) -> None:
        """Say what is known now; raise ``QualityUnheard`` where nothing can be said."""
        ...


class QualityTeller:
    """Says again and again what is known. What is kept is summed up anew only where there is more, or another day."""

    def __init__(
        self, store: FeedbackStore, told: Told, rule: QualityRule, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._told = told
        self._rule = rule
        self._now = now
        self._known: Qualities = {}
        self._as_of: tuple[int, date] | None = None
        self._is_mute = False

    async def run(self, every_seconds: float) -> None:
        """Tell for ever; never return, and never fail."""
        while True:
            await self.tell()
            await asyncio.sleep(every_seconds)

    async def tell(self) -> None:
        """Tell once; where that cannot be done, nothing happens but a line in the log."""
        try:
            await self._told.tell(await self._summed_up())
        except Exception as error:  # noqa: BLE001 - whatever ails the database, requests go on without
            if not self._is_mute:
                unexpected = None if isinstance(error, ServiceUnavailable | QualityUnheard) else error
                _log.warning("quality_not_told", reason=str(error), exc_info=unexpected)
            self._is_mute = True
        else:
            self._is_mute = False

    async def _summed_up(self) -> Qualities:
        today = self._now().date()
        as_of = await self._store.newest_id(), today
        if as_of != self._as_of:
            tallies = await self._store.tallies(self._rule.horizon(today)) if as_of[0] else []
            self._known, self._as_of = qualities(tallies, self._rule, today), as_of
        return self._known

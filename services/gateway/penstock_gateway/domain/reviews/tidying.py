"""Sees to items that nobody is at: whose time is over, and that are old; and knows how the queue stands."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime

import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.administration.audit import Now, utc_now
from penstock_gateway.domain.reviews.item import ReviewState
from penstock_gateway.domain.reviews.observing import NobodyCounts, ReviewObserver
from penstock_gateway.domain.reviews.ports import ReviewStore, Standing
from penstock_gateway.domain.reviews.terms import ReviewTerms

_log = structlog.get_logger(__name__)

_AT_ONCE = 200
"""In one transaction: it must not keep others from writing."""
_MOST_ROUNDS = 100
"""In one look."""


class ReviewTidying:
    """Looks again and again. Any number of processes may: each item is taken by one of them."""

    def __init__(self, store: ReviewStore, terms: ReviewTerms, now: Now = utc_now) -> None:
        self.observer: ReviewObserver = NobodyCounts()
        self.standing: Standing | None = None
        """Of all tenants, at the last look; every process that looks sees the same."""
        self.looked_at: datetime | None = None
        self._store = store
        self._terms = terms
        self._now = now

    async def run(self) -> None:
        """Look until it is cancelled; what is known stays while the database is away."""
        every = self._terms.every.total_seconds()
        while True:
            try:
                await self.look()
            except ServiceUnavailable as error:
                _log.warning("reviews_not_tidied", reason=str(error))
            except Exception as error:  # noqa: BLE001 - nobody else would look
                _log.error("reviews_not_tidied", exc_info=error)
            # Not all processes at once.
            await asyncio.sleep(every * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    async def look(self) -> None:
        """Look once.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        while expired := await self._store.expire(self._terms.expiry, self._now(), _AT_ONCE):
            _log.warning("reviews_expired", items=len(expired))
            for item in expired:
                if item.state is ReviewState.DECIDED:
                    self.observer.decided(item)
            if len(expired) < _AT_ONCE:
                break
        await self._forget()
        now = self._now()
        self.standing, self.looked_at = await self._store.standing(now, self._terms.soon), now

    async def _forget(self) -> None:
        now = self._now()
        before = now - self._terms.content_kept, now - self._terms.kept
        for _ in range(_MOST_ROUNDS):
            if await self._store.forget(*before, _AT_ONCE) < _AT_ONCE:
                return

"""The cache service as ports: to a request it never fails, it only misses; who administers it is told of failures."""

from __future__ import annotations

from datetime import timedelta

import structlog

from penstock_common.background import StartWork
from penstock_common.contract.cache import Invalidation, LookupRequest, LookupResponse, Scope, Stats, StoreRequest
from penstock_common.contract.wire.cache import GET_STATS, INVALIDATE, LOOKUP, STORE
from penstock_common.errors import PenstockError
from penstock_common.rpc.client import Channel
from penstock_common.telemetry.steps import Step

_AWAY = LookupResponse(miss_reason="away")
_ADMINISTRATION_SECONDS = 20.0
_OFF = LookupResponse(bypass_reason="the cache is off", miss_reason="off")

_log = structlog.get_logger(__name__)


class CacheClient:
    """Implements ``ports.AnswerCache`` and ``KeptAnswers``; look-ups are bounded by ``lookup_timeout``.

    A cache in this process keeps at once. Nobody waits for another's, which
    ``in_background`` tells.
    """

    def __init__(
        self,
        channel: Channel,
        lookup_timeout: timedelta,
        store_timeout: timedelta,
        in_background: StartWork | None = None,
    ) -> None:
        self._channel = channel
        self._lookup_seconds = lookup_timeout.total_seconds()
        self._store_seconds = store_timeout.total_seconds()
        self._in_background = in_background

    async def look_up(self, request: LookupRequest, steps: list[Step]) -> LookupResponse:
        """Return what the cache knows; a failure is a miss."""
        try:
            return await self._channel.call(LOOKUP, request, timeout=self._lookup_seconds, steps=steps)
        except PenstockError as error:
            _log.warning("cache_lookup_failed", error=type(error).__name__, details=error.message)
            return _AWAY

    async def keep(self, request: StoreRequest) -> None:
        """Keep an answer; a failure is logged."""
        if self._in_background is None:
            await self._store(request)
        else:
            self._in_background(self._store(request))

    async def clear(self, scope: Scope) -> int:
        """Void what lies in the scope."""
        invalidation = Invalidation(scope=scope, every_tenant=not scope.tenant)
        return await self._channel.call(INVALIDATE, invalidation, timeout=_ADMINISTRATION_SECONDS)

    async def stats(self) -> Stats:
        """Return what one process of the cache has counted."""
        return await self._channel.call(GET_STATS, None, timeout=_ADMINISTRATION_SECONDS)

    async def _store(self, request: StoreRequest) -> None:
        try:
            await self._channel.call(STORE, request, timeout=self._store_seconds)
        except PenstockError as error:
            _log.warning("cache_store_failed", error=type(error).__name__, details=error.message)


class NoCache:
    """Implements ``ports.AnswerCache`` and ``KeptAnswers`` where the cache is off."""

    async def look_up(self, request: LookupRequest, steps: list[Step]) -> LookupResponse:
        """Return that there is no cache."""
        return _OFF

    async def keep(self, request: StoreRequest) -> None:
        """Keep nothing."""

    async def clear(self, scope: Scope) -> int:
        """Return 0."""
        return 0

    async def stats(self) -> Stats:
        """Return zeros."""
        return Stats()

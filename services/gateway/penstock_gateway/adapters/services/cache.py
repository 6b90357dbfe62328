"""The cache service as a port: it never fails, it only misses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from penstock.cache.v1 import cache_service_pb2 as pb
from penstock.cache.v1 import cache_service_pb2_grpc
from penstock_common.llm.convert import event_from_proto, event_to_proto
from penstock_common.llm.types import GenerationEvent, GenerationInput
from penstock_common.telemetry.steps import steps_from_metadata
from penstock_gateway.adapters.services.wire import WireInputs
from penstock_gateway.domain.ports import CachedAnswer, CacheLookup

if TYPE_CHECKING:
    from penstock.cache.v1.cache_service_pb2_grpc import CacheServiceAsyncStub

_EXACT_SIMILARITY = 1.0

_log = structlog.get_logger(__name__)


class CacheClient:
    """Implements ``ports.AnswerCache`` over a stub; lookups are bounded by ``lookup_timeout``."""

    def __init__(self, channel: Any, inputs: WireInputs, lookup_timeout: timedelta, store_timeout: timedelta) -> None:
        self._stub: CacheServiceAsyncStub = cache_service_pb2_grpc.CacheServiceStub(channel)  # type: ignore[assignment]  # one class serves both at run time
        self._inputs = inputs
        self._lookup_seconds = lookup_timeout.total_seconds()
        self._store_seconds = store_timeout.total_seconds()

    async def look_up(self, tenant: str, request: GenerationInput, max_age: timedelta | None) -> CacheLookup:
        """Return what the cache knows; a failure is a miss."""
        message = pb.LookupRequest(scope=_scope(tenant, request), input=self._inputs.of(request))
        if max_age is not None:
            message.max_age.FromTimedelta(max_age)
        call = self._stub.Lookup(message, timeout=self._lookup_seconds)
        try:
            response = await call
            steps = steps_from_metadata(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            _log.warning("cache_lookup_failed", code=error.code().name, details=error.details())
            return CacheLookup()
        if not response.HasField("hit"):
            return CacheLookup(bypass_reason=response.bypass_reason, steps=steps)
        hit = response.hit
        events = tuple(event_from_proto(event) for event in hit.entry.events)
        tier = "exact" if hit.similarity >= _EXACT_SIMILARITY else "semantic"
        return CacheLookup(CachedAnswer(events, hit.similarity, tier), steps=steps)

    async def store(
        self, tenant: str, request: GenerationInput, events: Sequence[GenerationEvent], ttl: timedelta | None
    ) -> None:
        """Keep an answer; a failure is logged."""
        entry = pb.CacheEntry(events=[event_to_proto(event) for event in events])
        entry.create_time.GetCurrentTime()
        message = pb.StoreRequest(scope=_scope(tenant, request), input=self._inputs.of(request), entry=entry)
        if ttl is not None:
            message.ttl.FromTimedelta(ttl)
        try:
            await self._stub.Store(message, timeout=self._store_seconds)
        except grpc.aio.AioRpcError as error:
            _log.warning("cache_store_failed", code=error.code().name, details=error.details())


class NoCache:
    """Implements ``ports.AnswerCache`` where the cache is off."""

    async def look_up(self, tenant: str, request: GenerationInput, max_age: timedelta | None) -> CacheLookup:
        """Return that there is no cache."""
        return CacheLookup(bypass_reason="the cache is off")

    async def store(
        self, tenant: str, request: GenerationInput, events: Sequence[GenerationEvent], ttl: timedelta | None
    ) -> None:
        """Keep nothing."""


def _scope(tenant: str, request: GenerationInput) -> pb.CacheScope:
    return pb.CacheScope(tenant=tenant, model=request.model)

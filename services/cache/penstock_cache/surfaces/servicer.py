"""CacheService: convert, call, convert."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from penstock.cache.v1 import cache_service_pb2 as pb
from penstock.cache.v1.cache_service_pb2_grpc import CacheServiceServicer
from penstock_cache.domain.cache import Found, ResponseCache
from penstock_cache.domain.entry import Scope
from penstock_cache.surfaces.grpc.entries import UnknownEventError, answer_from_proto, hit_response
from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert import UnknownRoleError, input_from_proto
from penstock_common.llm.types import GenerationInput
from penstock_common.telemetry.steps import AttributeValue, Steps

# Messages are frozen once passed, so these serve every call.
_MISS = pb.LookupResponse()
_STORED = pb.StoreResponse(stored=True)


class CacheServicer(CacheServiceServicer):
    """Serves one ``ResponseCache``."""

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache

    async def Lookup(self, request: pb.LookupRequest, context: Any) -> pb.LookupResponse:
        """Return the hit, or why there may be none, or nothing on a miss."""
        steps = Steps()
        try:
            with steps.step("cache.lookup") as step:
                max_age = request.max_age.ToTimedelta() if request.HasField("max_age") else None
                found = await self._cache.lookup(_scope(request.scope), _input(request), max_age)
                step.attributes.update(_attributes(found))
            return _response(found)
        finally:
            context.set_trailing_metadata((steps.to_metadata(),))

    async def Store(self, request: pb.StoreRequest, context: Any) -> pb.StoreResponse:
        """Keep an answer, or say why not."""
        scope, prompt = _scope(request.scope), _input(request)
        ttl: timedelta | None = request.ttl.ToTimedelta() if request.HasField("ttl") else None
        try:
            refusal_reason = await self._cache.store(scope, prompt, answer_from_proto(request.entry), ttl)
        except UnknownEventError as error:
            refusal_reason = str(error)
        return pb.StoreResponse(refusal_reason=refusal_reason) if refusal_reason else _STORED

    async def Invalidate(self, request: pb.InvalidateRequest, context: Any) -> pb.InvalidateResponse:
        """Void every entry of a scope."""
        return pb.InvalidateResponse(deleted_entries=await self._cache.invalidate(_scope(request.scope)))

    async def GetStats(self, request: pb.GetStatsRequest, context: Any) -> pb.GetStatsResponse:
        """Return the counts since this process started."""
        stats = self._cache.stats()
        return pb.GetStatsResponse(
            memory_hits=stats.memory_hits,
            redis_hits=stats.redis_hits,
            misses=stats.misses,
            stores=stats.stores,
            refusals=stats.refusals,
            memory_entries=stats.memory_entries,
        )


def _scope(scope: pb.CacheScope) -> Scope:
    if not scope.tenant:
        raise InvalidRequest("The scope names no tenant.", field="scope.tenant")
    return Scope(scope.tenant, scope.model)


def _input(request: pb.LookupRequest | pb.StoreRequest) -> GenerationInput:
    try:
        return input_from_proto(request.input)
    except UnknownRoleError as error:
        raise InvalidRequest("A turn has no known role.", field=f"input.messages[{error.index}].role") from None


def _attributes(found: Found) -> dict[str, AttributeValue]:
    if found.entry is not None:
        return {"result": "hit", "tier": found.tier}
    return {"result": "bypass" if found.bypass_reason else "miss"}


def _response(found: Found) -> pb.LookupResponse:
    if found.entry is not None:
        return hit_response(found.entry)
    return pb.LookupResponse(bypass_reason=found.bypass_reason) if found.bypass_reason else _MISS

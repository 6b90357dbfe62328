"""CacheService: ask the domain, say how it went."""

from __future__ import annotations

import time

from penstock_cache.domain.cache import ResponseCache
from penstock_cache.domain.shredding import Shredder
from penstock_common.contract.cache import Invalidation, LookupRequest, LookupResponse, Scope, Stats, StoreRequest
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry.steps import AttributeValue

# Values are frozen once passed, so these serve every call.
_HIT_STEPS: dict[str, dict[str, AttributeValue]] = {
    tier: {"result": "hit", "tier": tier} for tier in ("memory", "redis")
}
_MISS_STEP: dict[str, AttributeValue] = {"result": "miss"}
_BYPASS_STEP: dict[str, AttributeValue] = {"result": "bypass"}


class CacheServicer:
    """Serves one ``ResponseCache``."""

    def __init__(self, cache: ResponseCache, shredder: Shredder) -> None:
        self._cache = cache
        self._shredder = shredder

    async def lookup(self, request: LookupRequest, call: ServerCall) -> LookupResponse:
        """Return the hit, or why there may be none, or nothing on a miss."""
        began_ns = time.time_ns()
        _require_tenant(request.scope)
        found = await self._cache.lookup(request)
        if found.hit is not None:
            call.steps.lap("cache.lookup", began_ns, _HIT_STEPS[found.tier])
            return LookupResponse(hit=found.hit)
        call.steps.lap("cache.lookup", began_ns, _BYPASS_STEP if found.bypass_reason else _MISS_STEP)
        return LookupResponse(bypass_reason=found.bypass_reason, generation=found.generation)

    async def store(self, request: StoreRequest, call: ServerCall) -> str:
        """Keep an answer; return why not, or nothing."""
        _require_tenant(request.scope)
        return await self._cache.store(request)

    async def invalidate(self, request: Invalidation, call: ServerCall) -> int:
        """Void every entry of a scope; return how many were deleted."""
        if not request.every_tenant:
            _require_tenant(request.scope)
        elif request.scope.tenant:
            raise InvalidRequest("The scope names a tenant, and means every one.", field="every_tenant")
        return await self._cache.invalidate(request.scope)

    async def shred_tenant(self, tenant: str, call: ServerCall) -> int:
        """Destroy a tenant's keys and entries; return how many entries were deleted."""
        _require_tenant(Scope(tenant, ""))
        return await self._shredder.shred(tenant)

    async def rotate_keys(self, tenant: str, call: ServerCall) -> int:
        """Give a tenant, or every one, a new key; return how many."""
        return await self._shredder.rotate(tenant)

    async def get_stats(self, request: None, call: ServerCall) -> Stats:
        """Return the counts since this process started."""
        return self._cache.stats()


def _require_tenant(scope: Scope) -> None:
    if not scope.tenant:
        raise InvalidRequest("The scope names no tenant.", field="scope.tenant")

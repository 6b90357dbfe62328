"""CacheService: ask the domain, say how it went."""

from __future__ import annotations

import math
import time

from penstock_cache.domain.cache import ResponseCache
from penstock_cache.domain.entries import Entries
from penstock_cache.domain.shredding import Shredder
from penstock_common.contract.cache import (
    MAX_MEANING_CHARACTERS,
    Deletion,
    Dispute,
    EntryPage,
    EntryQuery,
    ExplainRequest,
    Explanation,
    Invalidation,
    LookupRequest,
    LookupResponse,
    Scope,
    Stats,
    StoreRequest,
)
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry.steps import AttributeValue

# Values are frozen once passed, so these serve every call.
_HIT_STEPS: dict[str, dict[str, AttributeValue]] = {
    tier: {"result": "hit", "tier": tier} for tier in ("memory", "redis", "semantic", "alias")
}
_MISS_STEP: dict[str, AttributeValue] = {"result": "miss"}
_BYPASS_STEP: dict[str, AttributeValue] = {"result": "bypass"}


class CacheServicer:
    """Serves one ``ResponseCache``, and its entries that are matched by meaning."""

    def __init__(self, cache: ResponseCache, entries: Entries, shredder: Shredder) -> None:
        self._cache = cache
        self._entries = entries
        self._shredder = shredder

    async def lookup(self, request: LookupRequest, call: ServerCall) -> LookupResponse:
        """Return the hit, or why there may be none, or nothing on a miss."""
        began_ns = time.time_ns()
        _require_tenant(request.scope)
        found = await self._cache.lookup(request, math.inf if call.deadline is None else call.deadline)
        if found.hit is not None:
            call.steps.lap("cache.lookup", began_ns, _HIT_STEPS[found.tier])
            return LookupResponse(hit=found.hit, vector=found.vector, vector_model=found.vector_model)
        call.steps.lap("cache.lookup", began_ns, _BYPASS_STEP if found.bypass_reason else _MISS_STEP)
        return LookupResponse(
            bypass_reason=found.bypass_reason,
            generation=found.generation,
            miss_reason=found.miss_reason,
            near=found.near,
            vector=found.vector,
            vector_model=found.vector_model,
        )

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

    async def list_entries(self, query: EntryQuery, call: ServerCall) -> EntryPage:
        """Return a page of a tenant's entries that are matched by meaning."""
        _require_tenant(query.filter.scope)
        return await self._entries.list(query)

    async def delete_entries(self, deletion: Deletion, call: ServerCall) -> int:
        """Delete what the filter names, or count it; return how many."""
        _require_tenant(deletion.filter.scope)
        return await self._entries.delete(deletion)

    async def explain(self, request: ExplainRequest, call: ServerCall) -> Explanation:
        """Return whether an answer to one text would be served to another, and why."""
        _require_tenant(request.scope)
        for name, text in (("stored", request.stored), ("asked", request.asked)):
            if not text.strip() or len(text) > MAX_MEANING_CHARACTERS:
                raise InvalidRequest(f"A text of 1 to {MAX_MEANING_CHARACTERS} characters is needed.", field=name)
        return await self._entries.explain(request)

    async def dispute(self, dispute: Dispute, call: ServerCall) -> bool:
        """Remove an entry that was wrong; return whether there was one."""
        _require_tenant(dispute.scope)
        return await self._entries.dispute(dispute)

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

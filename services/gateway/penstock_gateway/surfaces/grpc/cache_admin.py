"""The methods of AdminService that are about the cache: convert, administer, convert."""

from __future__ import annotations

from collections.abc import Callable

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_common.contract.cache import Scope
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.administration import Administration
from penstock_gateway.domain.administration.cache_entries import Chosen
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.surfaces.grpc.cache_messages import entry_message, import_row, result_message, stats_message

ActorOf = Callable[[ServerCall], Actor]
"""Returns who makes a call."""


class CacheAdminMethods:
    """Serves what administration has to do with the cache."""

    def __init__(self, administration: Administration, actor_of: ActorOf) -> None:
        self._actor = actor_of
        self._cache = administration.cache
        self._entries = administration.cache_entries
        self._import = administration.cache_import

    async def ClearCache(self, request: pb.ClearCacheRequest, call: ServerCall) -> pb.ClearCacheResponse:
        """Return how many entries were deleted."""
        deleted = await self._cache.clear(self._actor(call), request.tenant, request.model)
        return pb.ClearCacheResponse(deleted_entries=deleted)

    async def GetCacheStats(self, request: pb.GetCacheStatsRequest, call: ServerCall) -> pb.GetCacheStatsResponse:
        """Return the counts."""
        return stats_message(await self._cache.stats())

    async def ListCacheEntries(
        self, request: pb.ListCacheEntriesRequest, call: ServerCall
    ) -> pb.ListCacheEntriesResponse:
        """Return a page of entries."""
        chosen = Chosen(tenant=request.tenant, model=request.model, tag=request.tag, user=request.user)
        page = Page.of(request.page_size, request.page_token)
        listed = await self._entries.list(self._actor(call), chosen, page, with_content=request.with_content)
        entries = [entry_message(record) for record in listed.items]
        return pb.ListCacheEntriesResponse(entries=entries, next_page_token=listed.next_token)

    async def GetCacheEntry(self, request: pb.GetCacheEntryRequest, call: ServerCall) -> pb.GetCacheEntryResponse:
        """Return an entry with its content."""
        record = await self._entries.get(self._actor(call), request.tenant, request.id)
        return pb.GetCacheEntryResponse(entry=entry_message(record))

    async def DeleteCacheEntries(
        self, request: pb.DeleteCacheEntriesRequest, call: ServerCall
    ) -> pb.DeleteCacheEntriesResponse:
        """Return how many entries were deleted, or would be."""
        chosen = Chosen(
            tenant=request.tenant,
            model=request.model,
            entry_ids=tuple(request.ids),
            tag=request.tag,
            user=request.user,
            every=request.every_entry,
        )
        deleted = await self._entries.delete(self._actor(call), chosen, dry_run=request.dry_run)
        return pb.DeleteCacheEntriesResponse(deleted_entries=deleted)

    async def DisputeCacheEntry(
        self, request: pb.DisputeCacheEntryRequest, call: ServerCall
    ) -> pb.DisputeCacheEntryResponse:
        """Return once it is removed."""
        await self._entries.dispute(self._actor(call), request.tenant, request.id)
        return pb.DisputeCacheEntryResponse()

    async def ImportCacheEntries(
        self, request: pb.ImportCacheEntriesRequest, call: ServerCall
    ) -> pb.ImportCacheEntriesResponse:
        """Return what became of each row."""
        rows = [import_row(row, f"rows[{index}]") for index, row in enumerate(request.rows)]
        results = await self._import.take(self._actor(call), request.tenant, rows, dry_run=request.dry_run)
        return pb.ImportCacheEntriesResponse(results=map(result_message, results))

    async def ExplainCache(self, request: pb.ExplainCacheRequest, call: ServerCall) -> pb.ExplainCacheResponse:
        """Return whether one text's answer would be given to the other."""
        scope = Scope(request.tenant, request.model)
        told = await self._entries.explain(self._actor(call), scope, request.stored, request.asked)
        return pb.ExplainCacheResponse(
            served=told.served,
            reason=told.reason,
            detail=told.detail,
            similarity=told.similarity,
            score=told.score,
            threshold=told.threshold,
            floor=told.floor,
        )

    async def ShredCacheTenant(
        self, request: pb.ShredCacheTenantRequest, call: ServerCall
    ) -> pb.ShredCacheTenantResponse:
        """Return how many entries were deleted beside the keys."""
        deleted = await self._entries.shred(self._actor(call), request.tenant)
        return pb.ShredCacheTenantResponse(deleted_entries=deleted)

    async def RotateCacheKeys(self, request: pb.RotateCacheKeysRequest, call: ServerCall) -> pb.RotateCacheKeysResponse:
        """Return how many tenants have a new key."""
        return pb.RotateCacheKeysResponse(tenants=await self._entries.rotate_keys(self._actor(call), request.tenant))

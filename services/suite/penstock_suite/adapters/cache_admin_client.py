"""The cache's part of AdminService as the command asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import cached_entry_pb2
from penstock_suite.domain.cache_entries import (
    CacheCounts,
    CacheEntry,
    CacheExplanation,
    CacheFilter,
    CachePage,
    ImportedRow,
    RowOutcome,
)

_ORIGINS: dict[Any, str] = {
    cached_entry_pb2.CACHED_ENTRY_ORIGIN_UNSPECIFIED: "answered",
    cached_entry_pb2.CACHED_ENTRY_ORIGIN_IMPORTED: "imported",
    cached_entry_pb2.CACHED_ENTRY_ORIGIN_ALIAS: "alias",
}
_MAPS = ("refused_by_guard", "not_compared")


class CacheAdminClient:
    """Implements ``CacheEntries``: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        """Return what the service answers, or raise the ``SuiteFailure`` that says why not."""
        raise NotImplementedError

    async def clear_cache(self, tenant: str, model: str) -> int:
        """Return how many kept answers were deleted."""
        return int((await self._ask("ClearCache", pb.ClearCacheRequest(tenant=tenant, model=model))).deleted_entries)

    async def cache_counts(self) -> CacheCounts:
        """Return what the cache has done."""
        told = await self._ask("GetCacheStats", pb.GetCacheStatsRequest())
        counts = {name: getattr(told, name) for name in CacheCounts.__struct_fields__}
        counts |= {name: dict(counts[name]) for name in _MAPS}
        if not told.HasField("semantic_entries"):
            counts["semantic_entries"] = None
        return CacheCounts(**counts)

    async def cache_page(self, wanted: CacheFilter, size: int, token: str, *, with_content: bool) -> CachePage:
        """Return a page of at most ``size`` entries."""
        request = pb.ListCacheEntriesRequest(
            tenant=wanted.tenant,
            model=wanted.model,
            tag=wanted.tag,
            user=wanted.user,
            with_content=with_content,
            page_size=size,
            page_token=token,
        )
        page = await self._ask("ListCacheEntries", request)
        return CachePage(tuple(map(_entry, page.entries)), page.next_page_token)

    async def cache_entry(self, tenant: str, entry_id: str) -> CacheEntry:
        """Return an entry with its content."""
        return _entry((await self._ask("GetCacheEntry", pb.GetCacheEntryRequest(id=entry_id, tenant=tenant))).entry)

    async def delete_cache_entries(self, wanted: CacheFilter, *, dry_run: bool) -> int:
        """Return how many were deleted, or would be."""
        request = pb.DeleteCacheEntriesRequest(
            tenant=wanted.tenant,
            model=wanted.model,
            ids=wanted.ids,
            tag=wanted.tag,
            user=wanted.user,
            every_entry=wanted.every,
            dry_run=dry_run,
        )
        return int((await self._ask("DeleteCacheEntries", request)).deleted_entries)

    async def dispute_cache_entry(self, tenant: str, entry_id: str) -> None:
        """Remove an entry that was given, and was wrong."""
        await self._ask("DisputeCacheEntry", pb.DisputeCacheEntryRequest(id=entry_id, tenant=tenant))

    async def explain_cache(self, tenant: str, model: str, stored: str, asked: str) -> CacheExplanation:
        """Return whether the answer to ``stored`` is given to ``asked``."""
        request = pb.ExplainCacheRequest(tenant=tenant, model=model, stored=stored, asked=asked)
        told = await self._ask("ExplainCache", request)
        return CacheExplanation(**{name: getattr(told, name) for name in CacheExplanation.__struct_fields__})

    async def import_cache(self, tenant: str, rows: Sequence[ImportedRow], *, dry_run: bool) -> Sequence[RowOutcome]:
        """Return what became of each row."""
        request = pb.ImportCacheEntriesRequest(tenant=tenant, rows=map(_row, rows), dry_run=dry_run)
        return [_outcome(result) for result in (await self._ask("ImportCacheEntries", request)).results]

    async def shred_cache(self, tenant: str) -> int:
        """Return how many entries were deleted beside the keys."""
        return int((await self._ask("ShredCacheTenant", pb.ShredCacheTenantRequest(tenant=tenant))).deleted_entries)

    async def rotate_cache_keys(self, tenant: str) -> int:
        """Return how many tenants have a new key."""
        return int((await self._ask("RotateCacheKeys", pb.RotateCacheKeysRequest(tenant=tenant))).tenants)


def _entry(entry: cached_entry_pb2.CachedEntry) -> CacheEntry:
    return CacheEntry(
        id=entry.id,
        model=entry.model,
        question=entry.question,
        answer=entry.answer,
        tags=tuple(entry.tags),
        is_private=entry.is_private,
        created_at=_moment(entry, "created_at"),
        expires_at=_moment(entry, "expires_at"),
        origin=_ORIGINS.get(entry.origin, str(entry.origin)),
        hits=entry.hits,
        threshold=entry.threshold,
        same_answers=entry.same_answers,
        different_answers=entry.different_answers,
        alias_of=entry.alias_of,
        saved_tokens=entry.saved_tokens,
        saved_nano_usd=entry.saved_nano_usd,
    )


def _row(row: ImportedRow) -> cached_entry_pb2.CacheImportRow:
    message = cached_entry_pb2.CacheImportRow(
        question=row.question, answer=row.answer, model=row.model, system=row.system, tags=row.tags
    )
    if row.ttl is not None:
        message.ttl.FromTimedelta(row.ttl)
    return message


def _outcome(result: cached_entry_pb2.CacheImportResult) -> RowOutcome:
    name = cached_entry_pb2.CacheImportResult.Outcome.Name(result.outcome)
    return RowOutcome(name.removeprefix("OUTCOME_").lower(), result.reason)


def _moment(entry: cached_entry_pb2.CachedEntry, field: Any) -> datetime | None:
    return getattr(entry, field).ToDatetime(tzinfo=UTC) if entry.HasField(field) else None

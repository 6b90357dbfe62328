"""The cache's entries and counts as the contract's messages, and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import cached_entry_pb2
from penstock_common.contract.cache import EntryRecord, Origin, Stats
from penstock_common.contract.wire.cache import time_to
from penstock_common.rpc.durations import duration_from
from penstock_gateway.domain.administration.cache_import import ImportOutcome, ImportResult, ImportRow

_MOST_TTL = timedelta(days=3653)
_ORIGINS: dict[Origin, Any] = {
    Origin.ANSWERED: cached_entry_pb2.CACHED_ENTRY_ORIGIN_UNSPECIFIED,
    Origin.IMPORTED: cached_entry_pb2.CACHED_ENTRY_ORIGIN_IMPORTED,
    Origin.ALIAS: cached_entry_pb2.CACHED_ENTRY_ORIGIN_ALIAS,
}
_OUTCOMES: dict[ImportOutcome, Any] = {
    outcome: cached_entry_pb2.CacheImportResult.Outcome.Value(f"OUTCOME_{outcome.name}") for outcome in ImportOutcome
}


def entry_message(record: EntryRecord) -> cached_entry_pb2.CachedEntry:
    """Return the entry."""
    return cached_entry_pb2.CachedEntry(
        id=record.entry_id,
        model=record.model,
        question=record.question,
        answer=record.answer,
        tags=record.tags,
        is_private=record.is_private,
        created_at=_moment(record.created_at),
        expires_at=_moment(record.expires_at),
        origin=_ORIGINS[record.origin],
        hits=record.hits,
        threshold=record.threshold,
        same_answers=record.evidence_same,
        different_answers=record.evidence_different,
        alias_of=record.alias_of,
        saved_tokens=record.saved_tokens,
        saved_nano_usd=record.saved_nano_usd,
    )


def import_row(row: cached_entry_pb2.CacheImportRow, path: str) -> ImportRow:
    """Return the row; ``path`` is how an error names it.

    Raises:
        InvalidRequest: if its ttl is no duration.
    """
    return ImportRow(
        question=row.question,
        answer=row.answer,
        model=row.model,
        system=row.system,
        tags=tuple(row.tags),
        ttl=duration_from(row, "ttl", _MOST_TTL, f"{path}.ttl"),
    )


def result_message(result: ImportResult) -> cached_entry_pb2.CacheImportResult:
    """Return what became of a row."""
    return cached_entry_pb2.CacheImportResult(outcome=_OUTCOMES[result.outcome], reason=result.reason)


def stats_message(stats: Stats) -> pb.GetCacheStatsResponse:
    """Return the counts."""
    return pb.GetCacheStatsResponse(**msgspec.structs.asdict(stats))


def _moment(unix_seconds: float) -> Timestamp | None:
    return time_to(unix_seconds) if unix_seconds else None

"""A cache service in memory, whose entries can be listed, deleted and explained; equality of words is its meaning."""

from __future__ import annotations

import hashlib
import time
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from penstock_common.contract.cache import (
    EntryPage,
    EntryRecord,
    Explanation,
    Hit,
    LookupResponse,
    Scope,
    Stats,
)
from penstock_common.contract.wire.cache import GET_STATS, INVALIDATE, LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import (
    DELETE_ENTRIES,
    DISPUTE,
    EXPLAIN,
    LIST_ENTRIES,
    ROTATE_KEYS,
    SHRED_TENANT,
)
from penstock_common.llm.types import TextDelta
from penstock_common.service import Service

Kept = tuple[Scope, str, EntryRecord, Any]


class CacheInMemory:
    """What it was asked to keep, by id: scope, user, record, request."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.rotated: list[str] = []
        self.asked_to_keep: list[Any] = []

    def handlers(self):
        return (
            LOOKUP.served_by(self.lookup),
            STORE.served_by(self.store),
            INVALIDATE.served_by(self.invalidate),
            GET_STATS.served_by(self.stats),
            LIST_ENTRIES.served_by(self.list),
            DELETE_ENTRIES.served_by(self.delete),
            EXPLAIN.served_by(self.explain),
            DISPUTE.served_by(self.dispute),
            SHRED_TENANT.served_by(self.shred),
            ROTATE_KEYS.served_by(self.rotate),
        )

    @asynccontextmanager
    async def build(self, settings):
        yield Service("cache", self.handlers())

    async def lookup(self, request, call):
        for scope, _, record, stored in self.kept.values():
            if scope == request.scope and stored.probe.digest == request.probe.digest:
                return LookupResponse(hit=Hit(stored.events, record.created_at))
        return LookupResponse(generation="1")

    async def store(self, request, call):
        self.asked_to_keep.append(request)
        meaning = request.probe.meaning
        if meaning is None:
            return "Nothing of it is matched by meaning."
        entry_id = hashlib.sha256(repr(request.scope).encode() + request.probe.digest).hexdigest()[:20]
        answer = "".join(event.text for event in request.events if isinstance(event, TextDelta))
        record = EntryRecord(
            entry_id=entry_id,
            model=request.scope.model,
            question=meaning.text,
            answer=answer,
            tags=request.tags,
            created_at=time.time(),
            expires_at=time.time() + 3600 if request.ttl is None else time.time() + request.ttl.total_seconds(),
            origin=request.origin,
            threshold=0.5,
        )
        self.kept[entry_id] = (request.scope, meaning.user, record, request)
        return ""

    async def invalidate(self, request, call):
        return self._drop([key for key, kept in self.kept.items() if request.scope.covers(kept[0])])

    async def stats(self, request, call):
        return Stats(
            semantic_hits=4,
            refused_by_guard={"number": 2},
            judged_hits=200,
            false_hits=1,
            semantic_entries=len(self.kept),
        )

    async def list(self, query, call):
        found = self._meant(query.filter)
        begin = int(query.page_token or 0)
        page = [self.kept[key][2] for key in found[begin : begin + query.page_size]]
        if not query.with_content:
            page = [msgspec.structs.replace(record, question="", answer="") for record in page]
        end = begin + query.page_size
        return EntryPage(tuple(page), str(end) if end < len(found) else "")

    async def delete(self, deletion, call):
        meant = self._meant(deletion.filter)
        return len(meant) if deletion.dry_run else self._drop(meant)

    async def explain(self, request, call):
        served = request.stored.lower() == request.asked.lower()
        return Explanation(served, "form" if served else "number", "30 → 45", 0.96875, 0.25, 0.5, 0.375)

    async def dispute(self, dispute, call):
        kept = self.kept.get(dispute.entry_id)
        return bool(kept and kept[0] == dispute.scope and self._drop([dispute.entry_id]))

    async def shred(self, tenant, call):
        return self._drop([key for key, kept in self.kept.items() if kept[0].tenant == tenant])

    async def rotate(self, tenant, call):
        self.rotated.append(tenant)
        return 1 if tenant else 3

    def _meant(self, wanted):
        return [
            key
            for key, (scope, user, record, _) in self.kept.items()
            if wanted.scope.covers(scope)
            and (not wanted.entry_ids or key in wanted.entry_ids)
            and (not wanted.tag or wanted.tag in record.tags)
            and (not wanted.user or wanted.user == user)
        ]

    def _drop(self, keys):
        for key in keys:
            del self.kept[key]
        return len(keys)

"""Administration of what is matched by meaning, of ``penstock.cache.v1`` on the wire."""

from __future__ import annotations

from penstock.cache.v1 import cache_service_pb2 as pb
from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryFilter,
    EntryPage,
    EntryQuery,
    EntryRecord,
    ExplainRequest,
    Explanation,
)
from penstock_common.contract.wire.cache import ORIGINS, origin_from, scope_from, scope_to, time_from, time_to
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.cache.v1.CacheService/"


def _filter_to(value: EntryFilter) -> pb.EntryFilter:
    return pb.EntryFilter(scope=scope_to(value.scope), entry_ids=value.entry_ids, tag=value.tag, user=value.user)


def _filter_from(message: pb.EntryFilter) -> EntryFilter:
    return EntryFilter(scope_from(message.scope), tuple(message.entry_ids), message.tag, message.user)


def _record_to(value: EntryRecord) -> pb.EntryRecord:
    return pb.EntryRecord(
        entry_id=value.entry_id,
        model=value.model,
        question=value.question,
        answer=value.answer,
        tags=value.tags,
        is_private=value.is_private,
        create_time=time_to(value.created_at),
        expire_time=time_to(value.expires_at),
        origin=ORIGINS[value.origin],
        hits=value.hits,
        threshold=value.threshold,
        evidence_same=value.evidence_same,
        evidence_different=value.evidence_different,
        alias_of=value.alias_of,
        saved_tokens=value.saved_tokens,
        saved_nano_usd=value.saved_nano_usd,
    )


def _record_from(message: pb.EntryRecord) -> EntryRecord:
    return EntryRecord(
        entry_id=message.entry_id,
        model=message.model,
        question=message.question,
        answer=message.answer,
        tags=tuple(message.tags),
        is_private=message.is_private,
        created_at=time_from(message.create_time),
        expires_at=time_from(message.expire_time),
        origin=origin_from(message.origin),
        hits=message.hits,
        threshold=message.threshold,
        evidence_same=message.evidence_same,
        evidence_different=message.evidence_different,
        alias_of=message.alias_of,
        saved_tokens=message.saved_tokens,
        saved_nano_usd=message.saved_nano_usd,
    )


def _query_to(value: EntryQuery) -> pb.ListEntriesRequest:
    return pb.ListEntriesRequest(
        filter=_filter_to(value.filter),
        page_size=value.page_size,
        page_token=value.page_token,
        with_content=value.with_content,
    )


def _query_from(message: pb.ListEntriesRequest) -> EntryQuery:
    return EntryQuery(_filter_from(message.filter), message.page_size, message.page_token, message.with_content)


def _explanation_to(value: Explanation) -> pb.ExplainResponse:
    return pb.ExplainResponse(
        served=value.served,
        reason=value.reason,
        detail=value.detail,
        similarity=value.similarity,
        score=value.score,
        threshold=value.threshold,
        floor=value.floor,
    )


def _explanation_from(message: pb.ExplainResponse) -> Explanation:
    return Explanation(
        served=message.served,
        reason=message.reason,
        detail=message.detail,
        similarity=message.similarity,
        score=message.score,
        threshold=message.threshold,
        floor=message.floor,
    )


LIST_ENTRIES = UnaryMethod[EntryQuery, EntryPage](
    f"{_SERVICE}ListEntries",
    ProtobufCodec(pb.ListEntriesRequest, _query_to, _query_from),
    ProtobufCodec(
        pb.ListEntriesResponse,
        lambda page: pb.ListEntriesResponse(
            entries=map(_record_to, page.entries), next_page_token=page.next_page_token
        ),
        lambda message: EntryPage(tuple(map(_record_from, message.entries)), message.next_page_token),
    ),
)
DELETE_ENTRIES = UnaryMethod[Deletion, int](
    f"{_SERVICE}DeleteEntries",
    ProtobufCodec(
        pb.DeleteEntriesRequest,
        lambda value: pb.DeleteEntriesRequest(filter=_filter_to(value.filter), dry_run=value.dry_run),
        lambda message: Deletion(_filter_from(message.filter), message.dry_run),
    ),
    ProtobufCodec(
        pb.DeleteEntriesResponse,
        lambda entries: pb.DeleteEntriesResponse(entries=entries),
        lambda message: message.entries,
    ),
)
"""Answers with how many were deleted, or would be."""
EXPLAIN = UnaryMethod[ExplainRequest, Explanation](
    f"{_SERVICE}Explain",
    ProtobufCodec(
        pb.ExplainRequest,
        lambda value: pb.ExplainRequest(scope=scope_to(value.scope), stored=value.stored, asked=value.asked),
        lambda message: ExplainRequest(scope_from(message.scope), message.stored, message.asked),
    ),
    ProtobufCodec(pb.ExplainResponse, _explanation_to, _explanation_from),
)
DISPUTE = UnaryMethod[Dispute, bool](
    f"{_SERVICE}Dispute",
    ProtobufCodec(
        pb.DisputeRequest,
        lambda value: pb.DisputeRequest(scope=scope_to(value.scope), entry_id=value.entry_id),
        lambda message: Dispute(scope_from(message.scope), message.entry_id),
    ),
    ProtobufCodec(
        pb.DisputeResponse, lambda removed: pb.DisputeResponse(removed=removed), lambda message: message.removed
    ),
)
"""Answers with whether there was one."""
SHRED_TENANT = UnaryMethod[str, int](
    f"{_SERVICE}ShredTenant",
    ProtobufCodec(
        pb.ShredTenantRequest,
        lambda tenant: pb.ShredTenantRequest(tenant=tenant),
        lambda message: message.tenant,
    ),
    ProtobufCodec(
        pb.ShredTenantResponse,
        lambda entries: pb.ShredTenantResponse(entries=entries),
        lambda message: message.entries,
    ),
)
"""Takes a tenant, answers with how many entries were deleted beside its keys."""
ROTATE_KEYS = UnaryMethod[str, int](
    f"{_SERVICE}RotateKeys",
    ProtobufCodec(
        pb.RotateKeysRequest,
        lambda tenant: pb.RotateKeysRequest(tenant=tenant),
        lambda message: message.tenant,
    ),
    ProtobufCodec(
        pb.RotateKeysResponse,
        lambda tenants: pb.RotateKeysResponse(tenants=tenants),
        lambda message: message.tenants,
    ),
)
"""Takes a tenant, or nothing for every one; answers with how many have a new key."""

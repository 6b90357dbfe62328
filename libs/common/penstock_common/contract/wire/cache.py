"""``penstock.cache.v1`` on the wire."""

from __future__ import annotations

import math
from datetime import timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.cache.v1 import cache_service_pb2 as pb
from penstock_common.contract.cache import (
    Hit,
    Invalidation,
    LookupRequest,
    LookupResponse,
    Meaning,
    Near,
    Origin,
    Probe,
    Scope,
    Stats,
    StoreRequest,
)
from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert import event_from_proto, event_to_proto
from penstock_common.llm.types import Batch
from penstock_common.rpc.durations import duration_from
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.cache.v1.CacheService/"
_NANOSECONDS = 1_000_000_000
ORIGINS = {
    Origin.ANSWERED: pb.ENTRY_ORIGIN_UNSPECIFIED,
    Origin.IMPORTED: pb.ENTRY_ORIGIN_IMPORTED,
    Origin.ALIAS: pb.ENTRY_ORIGIN_ALIAS,
}
_ORIGINS_OF = {number: origin for origin, number in ORIGINS.items()}
# Of a Duration, by its definition.
_LONGEST = timedelta(seconds=315_576_000_000)


def origin_from(number: pb.EntryOrigin) -> Origin:
    """Return where an entry comes from; what is not known here is an answer."""
    return _ORIGINS_OF.get(number, Origin.ANSWERED)


def scope_to(scope: Scope) -> pb.CacheScope:
    """Return the message."""
    return pb.CacheScope(tenant=scope.tenant, model=scope.model)


def scope_from(message: pb.CacheScope) -> Scope:
    """Return the scope."""
    return Scope(message.tenant, message.model)


def _probe_to(probe: Probe) -> pb.CacheProbe:
    message = pb.CacheProbe(
        digest=probe.digest,
        temperature=probe.temperature,
        max_output_tokens=probe.max_output_tokens,
        has_tools_in_flight=probe.has_tools_in_flight,
        refers_to_the_web=probe.refers_to_the_web,
    )
    if probe.meaning is not None:
        message.meaning.CopyFrom(_meaning_to(probe.meaning))
    return message


def _meaning_to(meaning: Meaning) -> pb.Meaning:
    return pb.Meaning(
        text=meaning.text,
        fingerprint=meaning.fingerprint,
        user=meaning.user,
        vector=meaning.vector,
        vector_model=meaning.vector_model,
        is_private=meaning.is_private,
    )


def _meaning_from(message: pb.Meaning) -> Meaning:
    if not message.fingerprint:
        # Without one, whatever a conversation said before would be the same.
        raise InvalidRequest("The meaning has no fingerprint.", field="probe.meaning.fingerprint")
    return Meaning(
        text=message.text,
        fingerprint=message.fingerprint,
        user=message.user,
        vector=message.vector,
        vector_model=message.vector_model,
        is_private=message.is_private,
    )


def _probe_from(message: pb.CacheProbe) -> Probe:
    if not message.digest:
        # Without one, all requests of a scope would be the same.
        raise InvalidRequest("The probe has no digest.", field="probe.digest")
    return Probe(
        digest=message.digest,
        temperature=message.temperature if message.HasField("temperature") else None,
        max_output_tokens=message.max_output_tokens if message.HasField("max_output_tokens") else None,
        has_tools_in_flight=message.has_tools_in_flight,
        refers_to_the_web=message.refers_to_the_web,
        meaning=_meaning_from(message.meaning) if message.HasField("meaning") else None,
    )


def _near_to(near: Near) -> pb.Near:
    return pb.Near(entry_id=near.entry_id, similarity=near.similarity, score=near.score)


def _near_from(message: pb.LookupResponse | pb.StoreRequest) -> Near | None:
    if not message.HasField("near"):
        return None
    return Near(message.near.entry_id, message.near.similarity, message.near.score)


def _lookup_to(value: LookupRequest) -> pb.LookupRequest:
    message = pb.LookupRequest(scope=scope_to(value.scope), probe=_probe_to(value.probe), afresh=value.afresh)
    if value.max_age is not None:
        message.max_age.FromTimedelta(value.max_age)
    if value.stale_for is not None:
        message.stale_for.FromTimedelta(value.stale_for)
    return message


def _lookup_from(message: pb.LookupRequest) -> LookupRequest:
    return LookupRequest(
        scope=scope_from(message.scope),
        probe=_probe_from(message.probe),
        max_age=duration_from(message, "max_age", _LONGEST),
        stale_for=duration_from(message, "stale_for", _LONGEST),
        afresh=message.afresh,
    )


def _entry_to(events: Batch, created_at: float | None) -> pb.CacheEntry:
    entry = pb.CacheEntry(events=[event_to_proto(event) for event in events])
    if created_at is not None:
        entry.create_time.CopyFrom(time_to(created_at))
    return entry


def time_to(unix_seconds: float) -> Timestamp:
    """Return the message."""
    seconds = math.floor(unix_seconds)
    # A nanosecond is finer than what a float keeps of today, so it comes back as it was.
    return Timestamp(seconds=seconds, nanos=min(round((unix_seconds - seconds) * _NANOSECONDS), _NANOSECONDS - 1))


def time_from(message: Timestamp) -> float:
    """Return Unix seconds."""
    return message.seconds + message.nanos / _NANOSECONDS


def _created_at(entry: pb.CacheEntry) -> float | None:
    if not entry.HasField("create_time"):
        return None
    return time_from(entry.create_time)


def _found_to(value: LookupResponse) -> pb.LookupResponse:
    hit = value.hit
    message = pb.LookupResponse(
        bypass_reason=value.bypass_reason,
        generation=value.generation,
        miss_reason=value.miss_reason,
        vector=value.vector,
        vector_model=value.vector_model,
    )
    if hit is not None:
        message.hit.CopyFrom(
            pb.CacheHit(
                entry=_entry_to(hit.events, hit.created_at),
                similarity=hit.similarity,
                entry_id=hit.entry_id,
                by_meaning=hit.by_meaning,
                origin=ORIGINS[hit.origin],
            )
        )
    if value.near is not None:
        message.near.CopyFrom(_near_to(value.near))
    return message


def _found_from(message: pb.LookupResponse) -> LookupResponse:
    return LookupResponse(
        hit=_hit_from(message.hit) if message.HasField("hit") else None,
        bypass_reason=message.bypass_reason,
        generation=message.generation,
        miss_reason=message.miss_reason,
        near=_near_from(message),
        vector=message.vector,
        vector_model=message.vector_model,
    )


def _hit_from(message: pb.CacheHit) -> Hit:
    return Hit(
        events=tuple(event_from_proto(event) for event in message.entry.events),
        created_at=_created_at(message.entry) or 0.0,
        similarity=message.similarity,
        entry_id=message.entry_id,
        by_meaning=message.by_meaning,
        origin=origin_from(message.origin),
    )


def _store_to(value: StoreRequest) -> pb.StoreRequest:
    message = pb.StoreRequest(
        scope=scope_to(value.scope),
        probe=_probe_to(value.probe),
        entry=_entry_to(value.events, value.created_at),
        generation=value.generation,
        tags=value.tags,
        origin=ORIGINS[value.origin],
    )
    if value.near is not None:
        message.near.CopyFrom(_near_to(value.near))
    if value.ttl is not None:
        message.ttl.FromTimedelta(value.ttl)
    if value.stale_for is not None:
        message.stale_for.FromTimedelta(value.stale_for)
    return message


def _store_from(message: pb.StoreRequest) -> StoreRequest:
    try:
        events = tuple(event_from_proto(event) for event in message.entry.events)
    except ValueError as error:
        # It could not be judged, and must not be kept.
        raise InvalidRequest(f"The answer holds what is not known here: {error}.", field="entry.events") from None
    return StoreRequest(
        scope=scope_from(message.scope),
        probe=_probe_from(message.probe),
        events=events,
        created_at=_created_at(message.entry),
        ttl=duration_from(message, "ttl", _LONGEST),
        generation=message.generation,
        stale_for=duration_from(message, "stale_for", _LONGEST),
        tags=tuple(message.tags),
        near=_near_from(message),
        origin=origin_from(message.origin),
    )


def _stats_to(value: Stats) -> pb.GetStatsResponse:
    return pb.GetStatsResponse(
        memory_hits=value.memory_hits,
        redis_hits=value.redis_hits,
        misses=value.misses,
        stores=value.stores,
        refusals=value.refusals,
        memory_entries=value.memory_entries,
        semantic_hits=value.semantic_hits,
        refused_by_guard=value.refused_by_guard,
        not_compared=value.not_compared,
        embedded=value.embedded,
        judged_hits=value.judged_hits,
        false_hits=value.false_hits,
        saved_tokens=value.saved_tokens,
        saved_nano_usd=value.saved_nano_usd,
        semantic_entries=value.semantic_entries,
        semantic_trouble=value.semantic_trouble,
    )


def _stats_from(message: pb.GetStatsResponse) -> Stats:
    return Stats(
        memory_hits=message.memory_hits,
        redis_hits=message.redis_hits,
        misses=message.misses,
        stores=message.stores,
        refusals=message.refusals,
        memory_entries=message.memory_entries,
        semantic_hits=message.semantic_hits,
        refused_by_guard=dict(message.refused_by_guard),
        not_compared=dict(message.not_compared),
        embedded=message.embedded,
        judged_hits=message.judged_hits,
        false_hits=message.false_hits,
        saved_tokens=message.saved_tokens,
        saved_nano_usd=message.saved_nano_usd,
        semantic_entries=message.semantic_entries if message.HasField("semantic_entries") else None,
        semantic_trouble=message.semantic_trouble,
    )


LOOKUP = UnaryMethod[LookupRequest, LookupResponse](
    f"{_SERVICE}Lookup",
    ProtobufCodec(pb.LookupRequest, _lookup_to, _lookup_from),
    ProtobufCodec(pb.LookupResponse, _found_to, _found_from),
)
STORE = UnaryMethod[StoreRequest, str](
    f"{_SERVICE}Store",
    ProtobufCodec(pb.StoreRequest, _store_to, _store_from),
    ProtobufCodec(
        pb.StoreResponse,
        lambda reason: pb.StoreResponse(stored=not reason, refusal_reason=reason),
        lambda message: message.refusal_reason,
    ),
)
"""Answers with why the answer was refused; with nothing where it is kept."""
INVALIDATE = UnaryMethod[Invalidation, int](
    f"{_SERVICE}Invalidate",
    ProtobufCodec(
        pb.InvalidateRequest,
        lambda value: pb.InvalidateRequest(scope=scope_to(value.scope), every_tenant=value.every_tenant),
        lambda message: Invalidation(scope=scope_from(message.scope), every_tenant=message.every_tenant),
    ),
    ProtobufCodec(
        pb.InvalidateResponse,
        lambda deleted: pb.InvalidateResponse(deleted_entries=deleted),
        lambda message: message.deleted_entries,
    ),
)
GET_STATS = UnaryMethod[None, Stats](
    f"{_SERVICE}GetStats",
    ProtobufCodec(pb.GetStatsRequest, lambda _: pb.GetStatsRequest(), lambda _: None),
    ProtobufCodec(pb.GetStatsResponse, _stats_to, _stats_from),
)

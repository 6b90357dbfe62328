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
# Of a Duration, by its definition.
_LONGEST = timedelta(seconds=315_576_000_000)


def _scope_to(scope: Scope) -> pb.CacheScope:
    return pb.CacheScope(tenant=scope.tenant, model=scope.model)


def _scope_from(message: pb.CacheScope) -> Scope:
    return Scope(message.tenant, message.model)


def _probe_to(probe: Probe) -> pb.CacheProbe:
    return pb.CacheProbe(
        digest=probe.digest,
        temperature=probe.temperature,
        max_output_tokens=probe.max_output_tokens,
        has_tools_in_flight=probe.has_tools_in_flight,
        refers_to_the_web=probe.refers_to_the_web,
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
    )


def _lookup_to(value: LookupRequest) -> pb.LookupRequest:
    message = pb.LookupRequest(scope=_scope_to(value.scope), probe=_probe_to(value.probe))
    if value.max_age is not None:
        message.max_age.FromTimedelta(value.max_age)
    if value.stale_for is not None:
        message.stale_for.FromTimedelta(value.stale_for)
    return message


def _lookup_from(message: pb.LookupRequest) -> LookupRequest:
    return LookupRequest(
        scope=_scope_from(message.scope),
        probe=_probe_from(message.probe),
        max_age=duration_from(message, "max_age", _LONGEST),
        stale_for=duration_from(message, "stale_for", _LONGEST),
    )


def _entry_to(events: Batch, created_at: float | None) -> pb.CacheEntry:
    entry = pb.CacheEntry(events=[event_to_proto(event) for event in events])
    if created_at is not None:
        seconds = math.floor(created_at)
        # A nanosecond is finer than what a float keeps of today, so it comes back as it was.
        nanos = min(round((created_at - seconds) * _NANOSECONDS), _NANOSECONDS - 1)
        entry.create_time.CopyFrom(Timestamp(seconds=seconds, nanos=nanos))
    return entry


def _created_at(entry: pb.CacheEntry) -> float | None:
    if not entry.HasField("create_time"):
        return None
    return entry.create_time.seconds + entry.create_time.nanos / _NANOSECONDS


def _found_to(value: LookupResponse) -> pb.LookupResponse:
    hit = value.hit
    if hit is None:
        return pb.LookupResponse(bypass_reason=value.bypass_reason, generation=value.generation)
    return pb.LookupResponse(hit=pb.CacheHit(entry=_entry_to(hit.events, hit.created_at), similarity=hit.similarity))


def _found_from(message: pb.LookupResponse) -> LookupResponse:
    if not message.HasField("hit"):
        return LookupResponse(bypass_reason=message.bypass_reason, generation=message.generation)
    entry = message.hit.entry
    events = tuple(event_from_proto(event) for event in entry.events)
    return LookupResponse(
        hit=Hit(events=events, created_at=_created_at(entry) or 0.0, similarity=message.hit.similarity)
    )


def _store_to(value: StoreRequest) -> pb.StoreRequest:
    message = pb.StoreRequest(
        scope=_scope_to(value.scope),
        probe=_probe_to(value.probe),
        entry=_entry_to(value.events, value.created_at),
        generation=value.generation,
    )
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
        scope=_scope_from(message.scope),
        probe=_probe_from(message.probe),
        events=events,
        created_at=_created_at(message.entry),
        ttl=duration_from(message, "ttl", _LONGEST),
        generation=message.generation,
        stale_for=duration_from(message, "stale_for", _LONGEST),
    )


def _stats_to(value: Stats) -> pb.GetStatsResponse:
    return pb.GetStatsResponse(
        memory_hits=value.memory_hits,
        redis_hits=value.redis_hits,
        misses=value.misses,
        stores=value.stores,
        refusals=value.refusals,
        memory_entries=value.memory_entries,
    )


def _stats_from(message: pb.GetStatsResponse) -> Stats:
    return Stats(
        memory_hits=message.memory_hits,
        redis_hits=message.redis_hits,
        misses=message.misses,
        stores=message.stores,
        refusals=message.refusals,
        memory_entries=message.memory_entries,
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
        lambda value: pb.InvalidateRequest(scope=_scope_to(value.scope), every_tenant=value.every_tenant),
        lambda message: Invalidation(scope=_scope_from(message.scope), every_tenant=message.every_tenant),
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

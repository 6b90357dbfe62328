"""Entries on the wire."""

from __future__ import annotations

import math
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.cache.v1 import cache_service_pb2 as pb
from penstock.llm.v1 import generation_pb2 as gen
from penstock_cache.domain.cache import Answer
from penstock_cache.domain.entry import Entry
from penstock_common.llm.convert import event_from_proto, event_to_proto
from penstock_common.llm.types import GenerationEvent

_KNOWN_FINISH_REASONS = frozenset(gen.FinishReason.values()) - {gen.FINISH_REASON_UNSPECIFIED}
_EXACT_SIMILARITY = 1.0
_MICROSECONDS = 1_000_000


class UnknownEventError(ValueError):
    """An answer holds what this version does not know: it could not be judged, and must not be kept."""


def answer_from_proto(entry: pb.CacheEntry) -> Answer:
    """Return the answer to be kept.

    Raises:
        UnknownEventError: if an event, or the reason it finished, is not known here.
    """
    created_at = None
    if entry.HasField("create_time"):
        created_at = entry.create_time.seconds + entry.create_time.nanos / 1e9
    return Answer([_event(event) for event in entry.events], created_at)


def _event(event: gen.GenerationEvent) -> GenerationEvent:
    # Read leniently, a reason of a later version would pass for stop.
    if event.HasField("finished") and event.finished.reason not in _KNOWN_FINISH_REASONS:
        raise UnknownEventError("The answer finished for a reason that is not known here.")
    try:
        return event_from_proto(event)
    except ValueError:
        raise UnknownEventError("The answer holds an event that is not known here.") from None


def hit_response(entry: Entry) -> pb.LookupResponse:
    """Return the response for a hit: built at the entry's first one, and the same message ever after."""
    if entry.rendered is None:
        create_time = Timestamp()
        create_time.FromMicroseconds(math.floor(entry.created_at * _MICROSECONDS))
        kept = pb.CacheEntry(events=[event_to_proto(event) for event in entry.events], create_time=create_time)
        entry.rendered = pb.LookupResponse(hit=pb.CacheHit(entry=kept, similarity=_EXACT_SIMILARITY))
    return cast("pb.LookupResponse", entry.rendered)

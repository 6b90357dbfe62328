"""A cached answer, and the key it lies under."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import msgspec

from penstock_common.contract.cache import Hit, Scope
from penstock_common.llm.types import GenerationEvent, OpaqueDelta, ReasoningDelta, TextDelta, ToolCallDelta

# What an entry costs beside its text: key, structs, events, names. Traced: 1,720 where every name was read
# from a socket or from Redis, 800 where requests of one process share them.
FIXED_BYTES = 1792


class EntryKey(msgspec.Struct, frozen=True, gc=False):
    """Where an answer lies: its scope, and the digest of the request within it."""

    scope: Scope
    digest: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An answer as the hit that it is returned as; ``fresh_until`` in Unix seconds, which it may be kept beyond.

    ``generation`` is the scope's at the time of storing: an invalidation
    changes the scope's, and the entry is void.
    """

    hit: Hit
    fresh_until: float
    generation: str


def weight_bytes(events: Iterable[GenerationEvent]) -> int:
    """Return about how much memory an entry with these events holds."""
    weight = FIXED_BYTES
    for event in events:
        if type(event) is TextDelta:
            weight += sys.getsizeof(event.text) + len(event.citations_json)
        elif type(event) is ReasoningDelta:
            weight += sys.getsizeof(event.text) + len(event.signature) + len(event.hidden) + len(event.extra_json)
        elif type(event) is OpaqueDelta:
            weight += len(event.block.json)
        elif type(event) is ToolCallDelta:
            weight += sys.getsizeof(event.arguments_json_fragment) + len(event.extra_json)
    return weight

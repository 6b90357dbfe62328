"""The tier in this process: least recently used, bounded by entries and by bytes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from penstock_cache.domain.entry import Entry, EntryKey
from penstock_common.contract.cache import Scope
from penstock_common.llm.types import Finished, GenerationEvent, OpaqueDelta, ReasoningDelta, TextDelta, ToolCallDelta

# What an entry costs beside its text: key, structs, events, names. Traced: 1,720 where every name was read
# from a socket or from Redis, 800 where requests of one process share them.
FIXED_BYTES = 1792
_OVER_AT_ONCE = 16
"""Entries whose time is over that leave as one comes: more than come, and never so many that a caller would notice."""


class _Held(msgspec.Struct, frozen=True, gc=False):
    scope: Scope
    entry: Entry
    expires_at: float
    weight_bytes: int


class MemoryTier:
    """Holds at most ``max_entries`` entries of together about ``max_bytes``.

    An entry that alone is heavier than ``max_bytes`` is not kept. Times are
    Unix seconds, and the caller's.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def held_bytes(self) -> int:
        """About how much memory the entries hold."""
        return self._held_bytes

    def get(self, key: EntryKey, now: float) -> Entry | None:
        """Return the entry, now the most recently used, or None."""
        held = self._held.get(key.digest)
        # The digest covers the scope; comparing again costs nothing and needs no faith in it.
        if held is None or held.scope != key.scope:
            return None
        if held.expires_at <= now:
            self._remove(key.digest)
            return None
        self._held.move_to_end(key.digest)
        return held.entry

    def put(self, key: EntryKey, entry: Entry, expires_at: float, now: float) -> None:
        """Keep the entry until ``expires_at``, in place of what lay there; what nobody can be given any more leaves."""
        self._remove(key.digest)
        self._let_go(now)
        weight = weight_bytes(entry.hit.events)
        if weight > self._max_bytes or self._max_entries == 0:
            return
        self._held[key.digest] = _Held(key.scope, entry, expires_at, weight)
        self._held_bytes += weight
        while len(self._held) > self._max_entries or self._held_bytes > self._max_bytes:
            _, evicted = self._held.popitem(last=False)
            self._held_bytes -= evicted.weight_bytes

    def drop(self, scope: Scope) -> int:
        """Remove what lies in the scope; return how many entries that were."""
        dropped = [digest for digest, held in self._held.items() if scope.covers(held.scope)]
        for digest in dropped:
            self._remove(digest)
        return len(dropped)

    def _let_go(self, now: float) -> None:
        """Remove the least recently used as long as their time is over.

        One that lives for longer keeps those behind it, but no life is longer than that of the tier, so that twice that
        is the longest that any stays while others come.
        """
        for _ in range(_OVER_AT_ONCE):
            digest = next(iter(self._held), None)
            if digest is None or self._held[digest].expires_at > now:
                return
            self._remove(digest)

    def _remove(self, digest: bytes) -> None:
        held = self._held.pop(digest, None)
        if held is not None:
            self._held_bytes -= held.weight_bytes


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
        elif type(event) is Finished and event.unread is not None:
            weight += len(event.unread.json)
        elif type(event) is ToolCallDelta:
            weight += sys.getsizeof(event.arguments_json_fragment) + len(event.extra_json)
    return weight

"""A cached answer, and the key it lies under."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock_common.llm.types import GenerationEvent, ReasoningDelta, TextDelta, ToolCallDelta

# What an entry costs beside its text: key, structs, events, the surface's
# message. Measured with tracemalloc on answers of one delta: 2.1 to 2.6 KB.
FIXED_BYTES = 2560


class Scope(NamedTuple):
    """A boundary that no hit may cross; an empty model means every model of the tenant."""

    tenant: str
    model: str

    def covers(self, other: Scope) -> bool:
        """Return whether everything in ``other`` lies in this scope."""
        return self.tenant == other.tenant and self.model in ("", other.model)


class EntryKey(NamedTuple):
    """Where an answer lies: its scope, and the digest of the request within it."""

    scope: Scope
    digest: bytes


@dataclass(slots=True)
class Entry:
    """An answer as canonical events; times are Unix seconds.

    ``generation`` is the scope's at the time of storing: an invalidation
    changes the scope's, and the entry is void. ``rendered`` belongs to the
    surface, which keeps there what it returns for a hit.
    """

    events: tuple[GenerationEvent, ...]
    created_at: float
    fresh_until: float
    generation: str
    rendered: object | None = field(default=None, compare=False)


def weight_bytes(events: Iterable[GenerationEvent]) -> int:
    """Return about how much memory an entry with these events holds.

    Texts count twice: once in the event, once in the surface's message.
    """
    total = FIXED_BYTES
    for event in events:
        if isinstance(event, TextDelta):
            total += 2 * sys.getsizeof(event.text)
        elif isinstance(event, ReasoningDelta):
            total += 2 * (sys.getsizeof(event.text) + len(event.signature))
        elif isinstance(event, ToolCallDelta):
            total += 2 * sys.getsizeof(event.arguments_json_fragment)
    return total

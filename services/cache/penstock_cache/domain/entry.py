"""A cached answer, and the key it lies under."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock_common.llm.types import GenerationEvent, ReasoningDelta, TextDelta, ToolCallDelta

# What an entry costs beside its text: key, structs, events, the surface's
# message. Measured as resident memory per entry, 20,000 short answers: 2,510.
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
    """Return about how much memory an entry with these events holds, its rendered form included."""
    return FIXED_BYTES + sum(map(_content_bytes, events))


def _content_bytes(event: GenerationEvent) -> int:
    if isinstance(event, TextDelta):
        return _text_bytes(event.text)
    if isinstance(event, ReasoningDelta):
        return _text_bytes(event.text) + 2 * len(event.signature)
    if isinstance(event, ToolCallDelta):
        return _text_bytes(event.arguments_json_fragment)
    return 0


def _text_bytes(text: str) -> int:
    """Return the bytes of the event's string and of the message's.

    A string that is not ASCII keeps its UTF-8 form beside it once protobuf has read it.
    """
    if text.isascii():
        return 2 * len(text)
    return sys.getsizeof(text) + 2 * len(text.encode())

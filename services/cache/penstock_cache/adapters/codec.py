"""An entry as bytes: msgpack of the canonical events, with what must be checked on reading."""

from __future__ import annotations

import msgspec

from penstock_cache.domain.entry import Entry, EntryKey
from penstock_common.contract.cache import Hit
from penstock_common.llm.types import GenerationEvent

FORMAT_VERSION = 1


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    version: int
    tenant: str
    model: str
    generation: str
    created_at: float
    fresh_until: float
    events: tuple[GenerationEvent, ...]


class EntryFormatError(Exception):
    """The bytes are no entry of this format and tenant."""


def encode_entry(key: EntryKey, entry: Entry) -> bytes:
    """Return the entry as bytes."""
    scope = key.scope
    return _ENCODER.encode(
        _Stored(
            FORMAT_VERSION,
            scope.tenant,
            scope.model,
            entry.generation,
            entry.hit.created_at,
            entry.fresh_until,
            entry.hit.events,
        )
    )


def decode_entry(key: EntryKey, content: bytes) -> Entry:
    """Return the entry in ``content``.

    Raises:
        EntryFormatError: if it is of another format, or of another tenant or model than ``key``.
    """
    try:
        stored = _DECODER.decode(content)
    except msgspec.DecodeError as error:
        raise EntryFormatError(str(error)) from None
    if stored.version != FORMAT_VERSION:
        raise EntryFormatError(f"format {stored.version}")
    if (stored.tenant, stored.model) != key.scope:
        raise EntryFormatError("an entry of another scope")
    return Entry(Hit(events=stored.events, created_at=stored.created_at), stored.fresh_until, stored.generation)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Stored)

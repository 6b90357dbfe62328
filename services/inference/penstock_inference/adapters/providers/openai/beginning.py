"""Tells by its first bytes what a response is: its content type is only a hint."""

from __future__ import annotations

from enum import Enum

BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")
MAX_BLANK_BYTES = 64 * 1024
"""Of blanks before anything, which some servers send to keep a connection open."""


class Kind(Enum):
    """What a response is."""

    STREAM = "a stream of events"
    WHOLE = "one JSON value"
    NEITHER = "neither"


def kind_of(data: bytes, *, said_stream: bool) -> Kind | None:
    """Return what begins with these bytes, None while they do not tell; ``said_stream``: it says it is a stream."""
    beginning = data.lstrip(b" \t\r\n" + BOM)
    if not beginning:
        return None if len(data) <= MAX_BLANK_BYTES else Kind.NEITHER
    if beginning.startswith((b"{", b"[")):
        return Kind.WHOLE
    if said_stream or beginning.startswith(_FIELDS):
        return Kind.STREAM
    return None if any(field.startswith(beginning) for field in _FIELDS) else Kind.NEITHER

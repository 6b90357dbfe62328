"""Amazon's event stream: frames with headers, payload and two check sums."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

_STRING = 7
_PRELUDE_BYTES = 12
_CRC_BYTES = 4


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return a frame; every header is a string."""
    named = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", _PRELUDE_BYTES + len(named) + len(payload) + _CRC_BYTES, len(named))
    checked = prelude + struct.pack(">I", zlib.crc32(prelude)) + named + payload
    return checked + struct.pack(">I", zlib.crc32(checked))


def event_frame(kind: str, payload: bytes) -> bytes:
    """Return the frame of an event."""
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception_frame(kind: str, payload: bytes) -> bytes:
    """Return the frame of an exception."""
    return frame({":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload)


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(">B", len(key)) + key + struct.pack(">BH", _STRING, len(text)) + text

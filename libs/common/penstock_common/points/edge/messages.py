"""What the engine's process is told and what it tells, as frames of a stream: a length, then MessagePack."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from penstock_common.contract.points import (
    Count,
    Delete,
    Get,
    Matching,
    Nearest,
    Put,
    Question,
    Scroll,
    SetPayload,
    Size,
    Sweep,
)
from penstock_common.points.store import Page, Point, Scored

HEAD = struct.Struct("<I")
"""Before each frame: how many bytes it has."""
MOST_FRAME_BYTES = 1 << 30


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine keeps what it is given; each is a setting of section ``qdrant``."""

    quantization: str = "none"
    hnsw_m: int = 16
    hnsw_ef_construct: int = 100
    hnsw_ef: int = 64
    hnsw_filtered_ef: int = 256
    full_scan_kilobytes: int = 10_000
    indexing_threshold_kilobytes: int = 10_000
    max_segment_kilobytes: int = 100_000
    least_free_bytes: int = 256 * 1024 * 1024
    flush_seconds: float = 5.0
    quiet_seconds: float = 1.0


class Asked(NamedTuple):
    """A question with its number; nobody waits for the answer any more after ``deadline``, on ``time.monotonic``."""

    number: int
    deadline: float
    question: Question


class Told(NamedTuple):
    """An answer to the question of this number, or a piece of news under 0.

    ``kind`` is empty for an answer; ``invalid`` or ``unavailable`` for a refusal, whose reason is the answer; and of
    news ``ready``, ``held``, ``refused`` or ``note``.
    """

    number: int
    kind: str
    answer: msgspec.Raw


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, array):
        return value.tobytes()
    raise NotImplementedError(f"{type(value).__name__} does not travel")


def _array_from(_: Any, value: Any) -> Any:
    floats = array("f")
    floats.frombytes(value)
    return floats


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_bytes_of)
QUESTIONS = msgspec.msgpack.Decoder(Asked, dec_hook=_array_from)
QUESTION = msgspec.msgpack.Decoder[Question](Question, dec_hook=_array_from)
ANSWERS = msgspec.msgpack.Decoder(Told)
TEXT = msgspec.msgpack.Decoder(str)
_COUNT = msgspec.msgpack.Decoder(int)
_NOTHING = msgspec.msgpack.Decoder(None)
ANSWER_TO: dict[type[Question], msgspec.msgpack.Decoder[Any]] = {
    Nearest: msgspec.msgpack.Decoder(tuple[Scored, ...]),
    Matching: msgspec.msgpack.Decoder(tuple[Scored, ...]),
    Put: _NOTHING,
    Get: msgspec.msgpack.Decoder(tuple[Point, ...], dec_hook=_array_from),
    SetPayload: _NOTHING,
    Delete: _COUNT,
    Count: _COUNT,
    Scroll: msgspec.msgpack.Decoder(Page, dec_hook=_array_from),
    Sweep: _COUNT,
    Size: _COUNT,
}


def packed(value: Any) -> bytes:
    """Return the value as MessagePack."""
    return _ENCODER.encode(value)


def framed(value: Any) -> bytes:
    """Return the frame of a value."""
    body = _ENCODER.encode(value)
    return HEAD.pack(len(body)) + body


def frames_of(buffer: bytearray) -> Sequence[bytes]:
    """Take the whole frames off the buffer's beginning, and return them."""
    found: list[bytes] = []
    start = 0
    while len(buffer) - start >= HEAD.size:
        (length,) = HEAD.unpack_from(buffer, start)
        end = start + HEAD.size + length
        if len(buffer) < end:
            break
        found.append(bytes(buffer[start + HEAD.size : end]))
        start = end
    if start:
        del buffer[:start]
    return found

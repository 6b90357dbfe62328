"""How much a protobuf message holds, found on the wire before anything is decoded.

A message of two-byte fields costs a hundred times its size once it is decoded,
so its bytes alone bound nothing. What is malformed is left to the decoder, which
gives up at the same place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from penstock_common.errors import InvalidRequest

_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_MORE = 0x80
_FIXED_BYTES = {
    FieldDescriptor.CPPTYPE_DOUBLE: 8,
    FieldDescriptor.CPPTYPE_FLOAT: 4,
}
_FIXED_TYPES = {
    FieldDescriptor.TYPE_FIXED32: 4,
    FieldDescriptor.TYPE_SFIXED32: 4,
    FieldDescriptor.TYPE_FIXED64: 8,
    FieldDescriptor.TYPE_SFIXED64: 8,
}


@dataclass(frozen=True, slots=True)
class MessageBounds:
    """The most that a message may hold, whatever its size in bytes.

    An element is a field, or a number of a packed list. Messages within
    messages are as deep as the decoder goes at most (100).
    """

    max_elements: int = 250_000
    max_depth: int = 64


class TooMuchError(Exception):
    """A message holds more elements than were to be counted."""


def count_elements(message: bytes, kind: Descriptor, bounds: MessageBounds) -> int:
    """Return the number of elements of a message of ``kind``.

    Raises:
        TooMuchError: there are more than ``bounds.max_elements``.
        InvalidRequest: messages lie deeper within each other than ``bounds.max_depth``.
    """
    try:
        return _count(message, kind, bounds)
    except IndexError:
        # It ends in the middle of a field; the decoder says so.
        return 0


def check_bounds(message: bytes, kind: Descriptor, bounds: MessageBounds) -> None:
    """Let a message pass that may be decoded.

    Raises:
        InvalidRequest: it holds too many elements, or too deep within each other.
    """
    try:
        count_elements(message, kind, bounds)
    except TooMuchError:
        raise InvalidRequest(f"The message holds more than {bounds.max_elements} elements.") from None


def _count(message: bytes, kind: Descriptor, bounds: MessageBounds) -> int:  # noqa: C901 - one loop over the wire
    at, end, contents = 0, len(message), _contents_of(kind)
    outer: list[tuple[int, dict[int, Any]]] = []
    groups, left = 0, bounds.max_elements
    while at < end or outer:
        if at >= end:
            end, contents = outer.pop()
            continue
        left -= 1
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == _BYTES:
            length, at = _varint(message, at)
            inner = contents.get(tag >> 3)
            if isinstance(inner, int):
                left -= length // inner
            elif inner is not None and at + length <= end:
                outer.append((end, contents))
                end, contents, length = at + length, _contents_of(inner), 0
            at += length
        elif wire == _VARINT:
            while message[at] & _MORE:
                at += 1
            at += 1
        elif wire in (_FIXED32, _FIXED64):
            at += 4 if wire == _FIXED32 else 8
        elif wire in (_GROUP, _GROUP_END):
            groups += 1 if wire == _GROUP else -1
        else:
            break
        if left < 0:
            raise TooMuchError
        if len(outer) + groups > bounds.max_depth:
            raise InvalidRequest(f"Messages lie within each other deeper than {bounds.max_depth} times.")
    return bounds.max_elements - left


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at``, and where it ends."""
    value = message[at]
    if value < _MORE:
        return value, at + 1
    value, shift = value & 0x7F, 7
    while True:
        at += 1
        byte = message[at]
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, at + 1
        shift += 7


@cache
def _contents_of(kind: Descriptor) -> dict[int, Any]:
    """Return what holds more than itself, by number: a message's kind, or the least bytes that a listed number takes."""
    contents: dict[int, Any] = {}
    for field in kind.fields:
        if field.message_type is not None:
            contents[field.number] = field.message_type
        elif field.is_repeated and field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            contents[field.number] = _FIXED_TYPES.get(field.type) or _FIXED_BYTES.get(field.cpp_type, 1)
    return contents

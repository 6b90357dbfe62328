"""Reads a JSON request body: one well-formed object of the expected shape, or a clear refusal.

Nothing but a PenstockError leaves this module, whatever the bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from penstock_common.errors import InvalidRequest, PenstockError, UnsupportedParameter

T = TypeVar("T")

MAX_MEMBERS = 256
"""Of a request itself, known and unknown: each of them costs calls, not only bytes."""
_MAX_ECHO_LENGTH = 64
_PIECE_BYTES = 256 * 1024
_NO_CHOICES: Mapping[str, str] = {}

_TYPE_NAMES = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_EXPECTED = re.compile(r"Expected `([^`]*)`(?:, got `([^`]*)`)?")
_ANY_MEMBER = "[...]"
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_INVALID_VALUE = re.compile(r"Invalid value (.*)", re.DOTALL)
_LONE_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")


class _MemberName(str):
    """A member's name that is equal to nothing but itself, so that a repeated one is not lost in a dict."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
# Making a decoder costs as much as reading a small body ten times.
_MEMBERS_AS_WRITTEN = msgspec.json.Decoder(dict[_MemberName, msgspec.Raw], dec_hook=str.__new__)
_encode = msgspec.json.Encoder().encode


def with_model(body: bytes, model: str) -> bytes:
    """Return a body with the model in it that its path names, whatever the body says.

    Raises:
        InvalidRequest: if it is no object that a model could be put into.
    """
    return _encode({**read_members(body), "model": model})


def read_members(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the object's top-level members, their values verbatim.

    Raises:
        InvalidRequest: if the body is not one JSON object in UTF-8, repeats a member, or has very many.
    """
    size = len(body)
    try:
        # The decoder skips over verbatim text without looking at its encoding.
        if size > _PIECE_BYTES:
            _check_encoding(body)
        else:
            str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise _refusal(error, body, _NO_CHOICES) from None
    members = read_object(_MEMBERS, body)
    if len(members) > MAX_MEMBERS:
        raise InvalidRequest(f"The body has {len(members)} fields; at most {MAX_MEMBERS} are allowed.")
    # A body written compactly is as long as its members; a longer one has
    # spaces, or a member twice. Counting costs a third of decoding exactly,
    # and a copy, which a large body is better off without.
    if size > _PIECE_BYTES or size != len(_encode(members)):
        _refuse_repeated(body, members)
    return members


def read_object(decoder: msgspec.json.Decoder[T], body: bytes, choices: Mapping[str, str] = _NO_CHOICES) -> T:
    """Return the body as the decoder's type.

    ``choices`` tells, by a field's path without indexes, which values it may take.

    Raises:
        InvalidRequest: if a field is missing or has the wrong type.
        UnsupportedParameter: if an object that knows its fields has another one.
    """
    try:
        return decoder.decode(body)
    except Exception as error:  # noqa: BLE001 - decoders raise what they please; none may pass
        # Whatever the decoder says of foreign bytes, it is the caller's mistake.
        raise _refusal(error, body, choices) from None


def check_json(value: msgspec.Raw, field: str) -> None:
    """Check what the decoder leaves unread in a verbatim value: the range of numbers, the depth.

    Raises:
        InvalidRequest: if the value cannot be read.
    """
    raw = bytes(value)
    try:
        msgspec.json.decode(raw)
    except Exception as error:  # noqa: BLE001 - decoders raise what they please; none may pass
        if isinstance(error, msgspec.ValidationError):
            # Its path begins at the value; callers know it by the field.
            text, _, below = str(error).partition(" - at `$")
            raise _shape_refusal(f"{text} - at `$.{field}{below or '`'}", _NO_CHOICES) from None
        reason = _refusal(error, raw, _NO_CHOICES).message
        raise InvalidRequest(f"'{field}' cannot be read: {reason}", field=field) from None


def shortened(value: str) -> str:
    """Return the value as it may stand in an error message: bounded."""
    return value if len(value) <= _MAX_ECHO_LENGTH else f"{value[:_MAX_ECHO_LENGTH]}…"


def _check_encoding(body: bytes) -> None:
    """Check that a large body is UTF-8, piece by piece: as text it may take four times its bytes.

    Raises:
        UnicodeDecodeError: where it is not; its ``start`` counts from the body's.
    """
    if body.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), _PIECE_BYTES):
        end = start + _PIECE_BYTES
        carried = len(decoder.getstate()[0])
        try:
            decoder.decode(body[start:end], final=end >= len(body))
        except UnicodeDecodeError as error:
            error.start += start - carried
            raise


def _refuse_repeated(body: bytes, members: dict[str, msgspec.Raw]) -> None:
    written = read_object(_MEMBERS_AS_WRITTEN, body)
    if len(written) == len(members):
        return
    seen: set[str] = set()
    for name in map(str, written):
        if name in seen:
            shown = shortened(name)
            raise InvalidRequest(f"'{shown}' is given twice; give it once.", field=shown)
        seen.add(name)


def _refusal(error: Exception, body: bytes, choices: Mapping[str, str]) -> PenstockError:
    if isinstance(error, PenstockError):
        return error
    if isinstance(error, msgspec.ValidationError):
        return _shape_refusal(str(error), choices)
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest(f"The body must be JSON in UTF-8, but byte {error.start} is not UTF-8.")
    if isinstance(error, RecursionError):
        return InvalidRequest("The body is nested too deeply.")
    return InvalidRequest(_malformation(str(error), body))


def _malformation(reason: str, body: bytes) -> str:
    if not body.strip():
        return "The body is empty; it must be a JSON object."
    if body.startswith(b"\xef\xbb\xbf"):
        return "The body starts with a byte order mark; send plain UTF-8 without one."
    if "surrogate" in reason or _LONE_HIGH_SURROGATE.search(body):
        return "The body has a lone UTF-16 surrogate (such as \\ud800 without its partner), which is not text."
    if "truncated" in reason:
        return "The body must be a JSON object, but it ends in the middle of one."
    reason = reason.removeprefix("JSON is malformed: ")
    return f"The body must be a JSON object, but it is malformed: {reason}."


def _shape_refusal(text: str, choices: Mapping[str, str]) -> PenstockError:
    reason, found, path = text.rpartition(" - at `$")
    if not found:
        reason, path = text, ""
    path = path.removesuffix("`").removeprefix(".")
    if path.endswith(_ANY_MEMBER):
        # The decoder does not tell which of them.
        path = path.removesuffix(_ANY_MEMBER)
        return InvalidRequest(f"A value of '{path}' {_expectation(reason)}.", field=path)
    path = path.replace(_ANY_MEMBER, "")
    if match := _MISSING.fullmatch(reason):
        field = _join(path, match[1])
        return InvalidRequest(f"'{field}' is required, but it is missing.", field=field)
    if match := _UNKNOWN.fullmatch(reason):
        field = _join(path, shortened(match[1]))
        return UnsupportedParameter(f"'{field}' is not supported here; remove it.", parameter=field)
    if match := _INVALID_VALUE.fullmatch(reason):
        allowed = choices.get(re.sub(r"\[\d+\]", "[]", path), "a known value")
        return InvalidRequest(f"'{path}' must be {allowed}, but is {shortened(match[1])}.", field=path)
    return InvalidRequest(f"{_subject(path)} {_expectation(reason)}.", field=path)


def _expectation(reason: str) -> str:
    if match := _EXPECTED.fullmatch(reason):
        expected = [_TYPE_NAMES.get(name, name) for name in match[1].split(" | ")]
        *most, last = expected
        wanted = f"{', '.join(most)} or {last}" if most else last
        return f"must be {wanted}, but is {_TYPE_NAMES.get(match[2], match[2])}" if match[2] else f"must be {wanted}"
    if "out of range" in reason:
        return "must be a number of at most 64 bits"
    return f"is not valid: {reason}"


def _subject(path: str) -> str:
    return f"'{path}'" if path else "The body"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

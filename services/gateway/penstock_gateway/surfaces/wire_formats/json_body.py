"""Reads a JSON request body: one well-formed object of the expected shape, or a clear refusal.

Nothing but a PenstockError leaves this module, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from penstock_common.errors import InvalidRequest, PenstockError, UnsupportedParameter

T = TypeVar("T")

_MAX_ECHO_LENGTH = 64
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
_EXPECTED = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_INVALID_VALUE = re.compile(r"Invalid value (.*)", re.DOTALL)
_LONE_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")


class _MemberName:
    """A member's name, equal to nothing but itself, so that a repeated name is not lost in a dict."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _member_name(_: type[Any], text: str) -> _MemberName:
    return _MemberName(text)


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MEMBERS_WITH_REPEATED = msgspec.json.Decoder(dict[_MemberName, msgspec.Raw], dec_hook=_member_name)
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
        InvalidRequest: if the body is not one JSON object in UTF-8, or repeats a member.
    """
    try:
        # The decoder skips over verbatim text without looking at its encoding.
        str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise _refusal(error, body, _NO_CHOICES) from None
    members = read_object(_MEMBERS, body)
    # A body written compactly is as long as its members; a longer one has
    # spaces, or a member twice. Counting costs a third of decoding exactly.
    if len(body) != len(_encode(members)):
        _refuse_repeated(read_object(_MEMBERS_WITH_REPEATED, body))
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
        reason = _refusal(error, raw, _NO_CHOICES).message
        raise InvalidRequest(f"'{field}' cannot be read: {reason}", field=field) from None


def shortened(value: str) -> str:
    """Return the value as it may stand in an error message: bounded."""
    return value if len(value) <= _MAX_ECHO_LENGTH else f"{value[:_MAX_ECHO_LENGTH]}…"


def _refuse_repeated(names: Iterable[_MemberName]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.text in seen:
            shown = shortened(name.text)
            raise InvalidRequest(f"'{shown}' is given twice; give it once.", field=shown)
        seen.add(name.text)


def _refusal(error: Exception, body: bytes, choices: Mapping[str, str]) -> PenstockError:
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
    path = path.removesuffix("`").removeprefix(".").replace("[...]", "")
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
        return f"must be {wanted}, but is {_TYPE_NAMES.get(match[2], match[2])}"
    if "out of range" in reason:
        return "must be a number of at most 64 bits"
    return f"is not valid: {reason}"


def _subject(path: str) -> str:
    return f"'{path}'" if path else "The body"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

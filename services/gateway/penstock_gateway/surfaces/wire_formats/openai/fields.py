"""Reads the fields that OpenAI's formats have in common."""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.hints import HINTS
from penstock_gateway.surfaces.wire_formats.json_body import check_json, shortened
from penstock_gateway.surfaces.wire_formats.openai.wire import ABSENT, StreamOptions

_encode = msgspec.json.Encoder().encode
_SAYS_NOTHING = (b'""', b"{}")


def wants_usage(options: StreamOptions | None, *, stream: bool) -> bool:
    """Return whether the stream is to end with a usage chunk.

    Raises:
        InvalidRequest: if there are options for a stream that is none.
        UnsupportedParameter: if they ask for obfuscation.
    """
    if options is None:
        return False
    if not stream:
        raise InvalidRequest("'stream_options' is only allowed with 'stream': true.", field="stream_options")
    if options.include_obfuscation:
        raise UnsupportedParameter(
            "'stream_options.include_obfuscation' is not supported; leave it out or set it to false.",
            parameter="stream_options.include_obfuscation",
        )
    return options.include_usage is True


def stop_strings(stop: str | list[str] | None) -> tuple[str, ...]:
    """Return the strings that end an answer, of one of the three forms on the wire."""
    return () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)


def whole_number(value: float | None, field: str) -> int | None:
    """Return a number that must be whole, as ``100.0`` is.

    Raises:
        InvalidRequest: if it is not.
    """
    if value is None or isinstance(value, int):
        return value
    if not value.is_integer():
        raise InvalidRequest(f"'{field}' must be an integer, but is {value}.", field=field)
    return int(value)


def is_null(value: msgspec.Raw) -> bool:
    """Return whether a verbatim value is absent or ``null``, which mean the same."""
    return value is ABSENT or bytes(value) == b"null"


def hints_in(members: dict[str, msgspec.Raw]) -> str:
    """Return one object of the members that change nothing of the answer and say something, or ''.

    Raises:
        InvalidRequest: if a value cannot be read.
    """
    return verbatim_members(
        members, [name for name in members if name in HINTS and bytes(members[name]) not in _SAYS_NOTHING]
    )


def verbatim_members(members: dict[str, msgspec.Raw], names: list[str]) -> str:
    """Return one object of those of the named members that are not null, as written, or ''.

    Raises:
        InvalidRequest: if a value cannot be read.
    """
    extra = {name: members[name] for name in names if not is_null(members[name])}
    for name, value in extra.items():
        check_json(value, shortened(name))
    return _encode(extra).decode() if extra else ""

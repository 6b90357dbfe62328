"""Reads what an assistant's turn brings back of what its provider gave beside the text."""

from __future__ import annotations

import msgspec

from penstock_gateway.surfaces.wire_formats.json_body import check_json
from penstock_gateway.surfaces.wire_formats.openai.chat import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null

_EMPTY = (b"{}", b"[]", b'""')
_TEXT = msgspec.json.Decoder(str)


def extra_members(holder: wire.Turn | wire.ToolCall, names: tuple[str, ...], path: str) -> str:
    """Return one JSON object of the named members that say anything, verbatim; '' where none does.

    Raises:
        InvalidRequest: if one cannot be read; ``path`` is the holder's.
    """
    members: list[str] = []
    for name in names:
        value: msgspec.Raw = getattr(holder, name)
        if value is wire.ABSENT or is_null(value) or bytes(value) in _EMPTY:
            continue
        check_json(value, f"{path}.{name}")
        members.append(f'"{name}":{bytes(value).decode()}')
    return f"{{{','.join(members)}}}" if members else ""


def text_of(value: msgspec.Raw) -> str:
    """Return a verbatim value's text, '' where it is anything else: what was made of it beside counts."""
    if value is wire.ABSENT or is_null(value):
        return ""
    try:
        return _TEXT.decode(value)
    except msgspec.DecodeError:
        return ""

"""Sets what a provider said beside next to what an answer tells, where caller and provider speak the same format."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import Finished
from penstock_common.llm.unread import members_of, united

_encode = msgspec.json.Encoder().encode
Members = dict[str, msgspec.Raw]


def with_unread(told: bytes, finished: Finished, name: str) -> bytes:
    """Return a whole answer, as it is told in the format ``name``, with what its provider said beside."""
    unread = finished.unread
    if unread is None or unread.format != name:
        return told
    return united(told, unread.json.encode())


def unread_of(finished: Finished | None, name: str) -> Members:
    """Return what the provider of an answer said beside, by the members of a whole answer in the format ``name``."""
    unread = finished.unread if finished is not None else None
    return members_of(unread.json.encode()) if unread is not None and unread.format == name else {}


def with_members(told: bytes, members: Members) -> bytes:
    """Return a JSON object with those members in it as well."""
    return united(told, _encode(members)) if members else told

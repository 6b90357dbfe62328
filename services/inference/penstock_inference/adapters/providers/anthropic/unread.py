"""What a message says beside what is read of it, streamed or whole; see ``http.unread``."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.llm.types import Opaque
from penstock_common.llm.unread import members_of, united
from penstock_inference.adapters.providers.anthropic.blocks import FORMAT
from penstock_inference.adapters.providers.http.unread import MAX_UNREAD_BYTES, Unread
from penstock_inference.domain import upstream

_encode = msgspec.json.Encoder().encode
_END: dict[str, Any] = {
    **dict.fromkeys(("stop_reason", "stop_sequence")),
    "stop_details": dict.fromkeys(("type", "category", "explanation")),
}
_USAGE: dict[str, Any] = {
    **dict.fromkeys(
        ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "service_tier")
    ),
    "cache_creation": dict.fromkeys(("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")),
    "output_tokens_details": dict.fromkeys(("thinking_tokens",)),
}
_MESSAGE = Unread(
    {**dict.fromkeys(("id", "type", "role", "model", "content", "error")), **_END, "usage": _USAGE},
)
_DELTA = Unread({"type": None, "delta": _END, "usage": _USAGE})


def unread_of(message: bytes) -> upstream.Unread | None:
    """Return what a whole message, or one that begins, says beside; None where that is nothing."""
    return _told(_MESSAGE.of(message))


def with_end(before: upstream.Unread | None, payload: bytes) -> upstream.Unread | None:
    """Return what was said before and by a ``message_delta``, in the shape of a whole message."""
    more = _DELTA.of(payload)
    if not more:
        return before
    members = members_of(more)
    delta = members.pop("delta", None)
    if delta is not None:
        members = {**members_of(bytes(delta)), **members}
    if before is not None:
        known = members_of(before.block.json.encode())
        if "usage" in known and "usage" in members:
            members["usage"] = msgspec.Raw(united(bytes(known["usage"]), bytes(members["usage"])))
        # The end's word counts where the beginning had another.
        members = {**known, **members}
    united_members = _encode(members)
    return before if len(united_members) > MAX_UNREAD_BYTES else _told(united_members)


def _told(unread: bytes) -> upstream.Unread | None:
    return upstream.Unread(Opaque(format=FORMAT, json=unread.decode())) if unread else None

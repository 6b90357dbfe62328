"""What a completion says beside what is read of it, streamed or whole; see ``http.unread``."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.llm.types import Opaque
from penstock_common.llm.unread import OPENAI_CHAT, members_of, united
from penstock_inference.adapters.providers.http.unread import MAX_UNREAD_BYTES, Unread
from penstock_inference.adapters.providers.openai import chunks as wire
from penstock_inference.domain import upstream

_encode = msgspec.json.Encoder().encode
_MESSAGE = dict.fromkeys(
    (
        "role", "content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "reasoning_details",
        "thinking_blocks", "extra_content",
    )
)  # fmt: skip
_USAGE: dict[str, Any] = {
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens")),
    "prompt_tokens_details": dict.fromkeys(("cached_tokens", "cache_write_tokens")),
    "completion_tokens_details": dict.fromkeys(("reasoning_tokens",)),
}
_CHOICE: dict[str, Any] = dict.fromkeys(("index", "finish_reason", "logprobs", "usage", "error"))
_TOP: dict[str, Any] = dict.fromkeys(("id", "object", "created", "model", "error", "service_tier"))
_WHOLE = Unread({**_TOP, "choices": {**_CHOICE, "message": _MESSAGE}, "usage": _USAGE})
_CHUNK = Unread({**_TOP, "choices": {**_CHOICE, "delta": _MESSAGE, "message": None}, "usage": _USAGE})


def unread_of(body: bytes) -> upstream.Unread | None:
    """Return what a whole answer says beside; None where that is nothing."""
    return _told(_WHOLE.of(body))


class UnreadOfStream:
    """Adds up what the chunks say that hold no text: how the answer ends, what it took, and what belongs to no choice."""

    __slots__ = ("_so_far",)

    def __init__(self) -> None:
        self._so_far = b""

    def add(self, chunk: wire.Chunk, payload: bytes, events: list[upstream.UpstreamEvent]) -> None:
        """Add what has been said so far, where a chunk adds to it."""
        more = _CHUNK.of(payload)
        if not more:
            return
        if chunk.choices:
            more = _as_whole(more, is_first=len(chunk.choices) == 1 and not chunk.choices[0].index)
        so_far = united(self._so_far, more) if self._so_far and more else more or self._so_far
        if len(so_far) > MAX_UNREAD_BYTES:
            # What came before is kept.
            return
        self._so_far = so_far
        told = _told(self._so_far)
        if told is not None:
            events.append(told)


def _as_whole(unread: bytes, *, is_first: bool) -> bytes:
    """Return what a chunk says in the shape of a whole answer: that of the first choice alone, as others end apart."""
    members = members_of(unread)
    choices = members.pop("choices", None)
    if is_first and choices is not None:
        choice = members_of(bytes(choices)[1:-1])
        if "delta" in choice:
            choice["message"] = choice.pop("delta")
        members["choices"] = msgspec.Raw(b"[%b]" % _encode(choice))
    return _encode(members) if members else b""


def _told(unread: bytes) -> upstream.Unread | None:
    return upstream.Unread(Opaque(format=OPENAI_CHAT, json=unread.decode())) if unread else None

"""What a response says beside what is read of it; see ``http.unread``."""

from __future__ import annotations

from typing import Any

from penstock_common.llm.types import Opaque
from penstock_inference.adapters.providers.http.unread import Unread
from penstock_inference.adapters.providers.openai_responses.items import FORMAT
from penstock_inference.domain import upstream

_USAGE: dict[str, Any] = {
    **dict.fromkeys(("input_tokens", "output_tokens", "total_tokens")),
    "input_tokens_details": dict.fromkeys(("cached_tokens", "cache_write_tokens")),
    "output_tokens_details": dict.fromkeys(("reasoning_tokens",)),
}
# What the response says again of the request is not its own, but the caller's, who is told it by the surface.
_ASKED = (
    "instructions", "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "previous_response_id", "prompt_cache_key",
    "reasoning", "safety_identifier", "background", "store", "temperature", "top_p", "presence_penalty",
    "frequency_penalty", "top_logprobs", "text", "tool_choice", "tools", "truncation", "user", "metadata", "conversation",
)  # fmt: skip
_OWN = (
    "id", "object", "created_at", "completed_at", "status", "error", "incomplete_details", "model", "output", "output_text",
    "service_tier",
)  # fmt: skip
_RESPONSE = Unread({**dict.fromkeys((*_OWN, *_ASKED)), "usage": _USAGE})


def unread_of(response: bytes) -> upstream.Unread | None:
    """Return what a whole response says beside; None where that is nothing."""
    unread = _RESPONSE.of(response)
    return upstream.Unread(Opaque(format=FORMAT, json=unread.decode())) if unread else None

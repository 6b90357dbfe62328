"""What Anthropic's formats tell of tokens, and of why an answer ended."""

from __future__ import annotations

from typing import Any

from penstock_common.llm.types import Finished, FinishReason, Usage

_WORDS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}
_TIERS = frozenset({"standard", "priority", "batch"})
# What a provider of this format said of the end, and no other word says as well.
_OWN_WORDS = frozenset({"pause_turn", "refusal", "model_context_window_exceeded", "compaction"})


def usage_of(usage: Usage | None, service_tier: str = "") -> dict[str, Any]:
    """Return the usage as it stands on the wire: what the prompt cache had and took is no part of ``input_tokens``.

    What the vendor's schema requires and nobody told is null.
    """
    usage = usage or Usage()
    written, hour = usage.cache_write_input_tokens, usage.cache_write_1h_input_tokens
    return {
        **counts_of(usage),
        "cache_creation": {"ephemeral_5m_input_tokens": max(0, written - hour), "ephemeral_1h_input_tokens": hour},
        "inference_geo": None,
        "service_tier": service_tier if service_tier in _TIERS else None,
    }


def counts_of(usage: Usage | None) -> dict[str, Any]:
    """Return the counts alone, as the end of a stream tells them."""
    usage = usage or Usage()
    read, written = usage.cached_input_tokens, usage.cache_write_input_tokens
    reasoning = usage.reasoning_tokens
    return {
        "input_tokens": max(0, usage.input_tokens - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": reasoning} if reasoning else None,
        "server_tool_use": None,
    }


def end_of(finished: Finished) -> dict[str, Any]:
    """Return ``stop_reason`` and what belongs to it, null where nothing was said."""
    details = finished.stop_details
    word = _WORDS[finished.reason]
    if details is not None and details.word in _OWN_WORDS:
        word = details.word
    elif finished.matched_stop:
        word = "stop_sequence"
    told: dict[str, Any] = {
        "stop_reason": word,
        "stop_sequence": finished.matched_stop if word == "stop_sequence" else None,
        "stop_details": None,
        "container": None,
    }
    if word == "refusal" and details is not None and (details.category or details.explanation):
        told["stop_details"] = {
            "type": word,
            "category": details.category or None,
            "explanation": details.explanation or None,
        }
    return told

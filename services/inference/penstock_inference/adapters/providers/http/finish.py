"""The words in which servers say why an answer ended."""

from __future__ import annotations

from penstock_common.llm.types import FinishReason

_RUNNING = frozenset({"", "null", "none", "unspecified", "finish_reason_unspecified", "in_progress"})

# By the first that is a part of the word, in lower case. The first line's are no ends of answers:
# what broke (DeepSeek, OpenRouter, vLLM), and calls that could not be read (Gemini).
_PARTS: tuple[tuple[FinishReason | None, tuple[str, ...]], ...] = (
    (None, ("error", "abort", "cancel", "fail", "timeout", "timed_out", "interrupt", "malformed", "insufficient",
            "unavailable", "overload", "unexpected", "too_many", "disconnect", "killed")),
    (FinishReason.CONTENT_FILTER, ("filter", "safety", "block", "policy", "refus", "recitation", "prohibited", "spii",
                                   "sensitive", "guardrail", "moderation")),
    (FinishReason.TOOL_CALLS, ("tool", "function")),
    # Anthropic's "pause_turn" is an answer that could go on.
    (FinishReason.LENGTH, ("length", "max_", "max-", "maxtokens", "limit", "context", "window", "truncat",
                           "incomplete", "pause")),
)  # fmt: skip


class BrokenOff(Exception):
    """The word says that the answer broke off."""


def finish_reason_of(word: str) -> FinishReason | None:
    """Return what a word means, None while the answer runs. One that nobody knows is an end like any other.

    Raises:
        BrokenOff: if it says that the answer is not whole.
    """
    word = word.strip().lower()
    if word in _RUNNING:
        return None
    for reason, parts in _PARTS:
        if any(part in word for part in parts):
            if reason is None:
                raise BrokenOff(word)
            return reason
    return FinishReason.STOP


_WEIGHT = {
    FinishReason.STOP: 0,
    FinishReason.TOOL_CALLS: 1,
    FinishReason.LENGTH: 2,
    FinishReason.CONTENT_FILTER: 3,
}


def weightier(first: FinishReason, second: FinishReason) -> FinishReason:
    """Return the one that says more, of two that came in one answer."""
    return second if _WEIGHT[second] > _WEIGHT[first] else first

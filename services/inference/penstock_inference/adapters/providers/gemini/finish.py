"""Why an answer ended, in Gemini's words."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.llm.types import FinishReason, StopDetails
from penstock_inference.adapters.providers.gemini import wire
from penstock_inference.domain.failure import AttemptFailed, FailureKind

_RUNNING = frozenset({"", "FINISH_REASON_UNSPECIFIED"})
_REASONS = {
    "STOP": FinishReason.STOP,
    "NO_IMAGE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
}
_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)  # fmt: skip
_FILTERED = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "ESCALATION", "MODEL_ARMOR", "JAILBREAK",
        "PUP_LIMITED_DISABLED",
    }
)  # fmt: skip
# They say no more than our own word does.
_PLAIN = frozenset({"STOP", "MAX_TOKENS"})


def end_of(candidate: wire.Candidate, *, has_calls: bool) -> tuple[FinishReason, StopDetails | None] | None:
    """Return why a candidate ended and what was said of it; None while it runs. An unknown word is an end like any other.

    Raises:
        AttemptFailed: MALFORMED for a word that says that no answer came of it.
    """
    word = candidate.finish_reason or ""
    if word in _RUNNING:
        return None
    message = candidate.finish_message or ""
    if word in _BROKEN:
        raise AttemptFailed(FailureKind.MALFORMED, f"the model's answer broke off: {word}{_and(message)}")
    reason = FinishReason.CONTENT_FILTER if word in _FILTERED else _REASONS.get(word, FinishReason.STOP)
    if reason is FinishReason.STOP and has_calls:
        reason = FinishReason.TOOL_CALLS
    if word in _PLAIN and not message:
        return reason, None
    return reason, StopDetails(word=word, category=_blocked(candidate.safety_ratings), explanation=message)


def details_of_block(feedback: wire.PromptFeedback) -> StopDetails:
    """Return what is said of a prompt that was blocked."""
    return StopDetails(
        word=feedback.block_reason or "",
        category=_blocked(feedback.safety_ratings),
        explanation=feedback.block_reason_message or "",
    )


def refusal_of(details: StopDetails) -> AttemptFailed:
    """Return the failure of a prompt that was blocked before anything was answered."""
    about = f" ({details.category})" if details.category else ""
    return AttemptFailed(
        FailureKind.REFUSED, f"the upstream blocked the prompt: {details.word}{about}{_and(details.explanation)}"
    )


def _and(message: str) -> str:
    return f": {message}" if message else ""


def _blocked(ratings: Sequence[wire.SafetyRating] | None) -> str:
    return next((rating.category or "" for rating in ratings or () if rating.blocked), "")

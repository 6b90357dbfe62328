"""OpenAI's moderations, as read from the types of openai-python 3.52: what is sent, and what comes back."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.contract.questions import (
    ModeratedContent,
    ModeratedPart,
    ModeratedText,
    Verdict,
    VerdictCategory,
)
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.question_upstream import Moderated

PATH = "/moderations"
_encode = msgspec.json.Encoder().encode


class _Result(msgspec.Struct):
    flagged: bool
    # Unknown words survive; nobody's null is a verdict.
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}
    category_applied_input_types: dict[str, list[str] | None] | None = None


class _Moderation(msgspec.Struct):
    results: list[_Result]
    model: str = ""
    usage: dict[str, Any] | None = None


_MODERATION = msgspec.json.Decoder(_Moderation)


def bodies_of(contents: tuple[ModeratedContent, ...], model: str) -> list[bytes]:
    """Return what is sent: all texts at once, and each content of parts by itself."""
    if not any(content.is_parts for content in contents):
        texts = [part.text for content in contents for part in content.parts if isinstance(part, ModeratedText)]
        return [_encode({"model": model, "input": texts})]
    return [_encode({"model": model, "input": [_part(part) for part in content.parts]}) for content in contents]


def read(body: bytes, count: int) -> Moderated:
    """Return the verdicts in a response to a request about ``count`` contents.

    Raises:
        AttemptFailed: MALFORMED, if it holds none, or another number of them.
    """
    try:
        told = _MODERATION.decode(body)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with a moderation") from None
    if len(told.results) != count:
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream did not judge each content once")
    tokens = told.usage.get("total_tokens") if told.usage is not None else 0
    counted = tokens if isinstance(tokens, int) and tokens > 0 else 0
    return Moderated(tuple([_verdict(result) for result in told.results]), told.model, counted)


def _part(part: ModeratedPart) -> dict[str, object]:
    if isinstance(part, ModeratedText):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.url}}


def _verdict(result: _Result) -> Verdict:
    types = result.category_applied_input_types or {}
    names = [*result.categories, *(name for name in result.category_scores if name not in result.categories)]
    return Verdict(
        result.flagged,
        tuple(
            [
                VerdictCategory(
                    name,
                    bool(result.categories.get(name)),
                    result.category_scores.get(name) or 0.0,
                    tuple(types.get(name) or ()),
                )
                for name in names
            ]
        ),
    )

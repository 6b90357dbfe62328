"""Decided reviews as labelled examples: a line each, in the form that `penstock eval` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from penstock_suite.domain.reviews import ReviewContentRow, ReviewRow, SeenReview

_ORIGIN = "review"
# What the datasets call the places that the contract has.
_SURFACES = {"input": "user", "tool_result": "tool_output", "document": "document", "output": "output"}
_LONG = 1200
"""Characters from which on an example counts as long."""


def _injection(review: ReviewRow, content: ReviewContentRow) -> dict[str, Any] | None:
    if review.surface not in _SURFACES:
        return None
    return {
        "id": review.id,
        "text": content.text,
        "label": "benign" if review.decision == "allow" else "attack",
        "kind": review.rule or review.source,
        "surface": _SURFACES[review.surface],
        "long": len(content.text) >= _LONG,
    }


def _pii(review: ReviewRow, content: ReviewContentRow) -> dict[str, Any]:
    # What a reviewer has allowed was none.
    found = () if review.decision == "allow" else content.found
    entities = [
        {"type": one.kind, "start": one.start, "end": one.end, "value": content.text[one.start : one.end]}
        for one in found
    ]
    return {"id": review.id, "text": content.text, "entities": entities, "lang": ""}


def _grounding(review: ReviewRow, content: ReviewContentRow) -> dict[str, Any] | None:
    if not content.context or review.surface != "output":
        return None
    return {
        "id": review.id,
        "context": content.context,
        "answer": content.text,
        "label": "grounded" if review.decision == "allow" else "ungrounded",
        "kind": review.rule or review.source,
        "source": _ORIGIN,
    }


def _answers(review: ReviewRow, content: ReviewContentRow) -> dict[str, Any] | None:
    """Return a case of `penstock eval answers`; what a caller hands over stands beside what was asked, and nothing else does."""
    is_right = review.decision in ("allow", "edit")
    if review.source != "caller" or review.surface != "output" or not content.context or not is_right:
        return None
    reference = content.edited if review.decision == "edit" else content.text
    return {"id": review.id, "input": content.context, "reference": reference}


def _all(review: ReviewRow, content: ReviewContentRow) -> dict[str, Any]:
    return {
        "id": review.id,
        "source": review.source,
        "surface": review.surface,
        "rule": review.rule,
        "rule_version": review.rule_version,
        "model": review.model,
        "decision": review.decision,
        "text": content.text,
        "context": content.context,
        "found": [{"kind": one.kind, "start": one.start, "end": one.end} for one in content.found],
        "edited": content.edited,
        "notes": list(content.notes),
    }


_MAKERS: dict[str, Callable[[ReviewRow, ReviewContentRow], dict[str, Any] | None]] = {
    "all": _all,
    "injection": _injection,
    "pii": _pii,
    "grounding": _grounding,
    "answers": _answers,
}
FORMATS = tuple(_MAKERS)
"""``all`` says everything; the others are those of the datasets, and leave out what they cannot hold."""


def examples(decided: Iterable[SeenReview], form: str) -> list[dict[str, Any]]:
    """Return the examples that decided items are, in a form of ``FORMATS``."""
    make = _MAKERS[form]
    made = (make(seen.review, seen.content) for seen in decided if seen.content is not None)
    return [example for example in made if example is not None]

"""Judging the grounding check by labelled answers: what it takes them for, by label and by what is wrong with them."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share

LABELS: tuple[str, ...] = ("grounded", "partly", "ungrounded")
_GZIP = b"\x1f\x8b"


class Answer(msgspec.Struct, frozen=True):
    """An answer, the context that it was given over, how far it is grounded, and the kind of what is right or wrong with it."""

    id: str
    context: str
    answer: str
    label: str
    kind: str = ""


class Taken(NamedTuple):
    """What an answer was taken for, its score (0 to 1), and how long that took, in milliseconds."""

    label: str
    score: float
    milliseconds: float


class OfLabel(msgspec.Struct, frozen=True):
    """Of one label: how many answers have it, and what was found of them. None where nothing was counted."""

    answers: int
    precision: float | None
    recall: float | None
    f1: float


class OfKind(msgspec.Struct, frozen=True):
    """Of the answers of one label and kind: how many, and how many were taken for that label."""

    label: str
    kind: str
    answers: int
    right: int


class GroundingEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Intervals are Wilson's, 95 %.

    ``macro_f1``: the mean of the three labels' F1; a label that no answer has is left out. ``confusion``: how often a label
    was taken for another, by the label and then by what it was taken for. ``mean_score``: by label.
    """

    answers: int
    macro_f1: float
    accuracy: Share
    labels: dict[str, OfLabel]
    kinds: list[OfKind]
    confusion: dict[str, dict[str, int]]
    mean_score: dict[str, float]
    p50_ms: float
    p95_ms: float
    setting: dict[str, Any]


def read_answers(content: bytes) -> list[Answer]:
    """Return the answers of a file of JSON lines, packed by gzip or not.

    Raises:
        Misconfigured: for the first line that is no labelled answer.
    """
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise Misconfigured(f"the dataset cannot be unpacked: {error}") from None
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    answers = [_answer(line, text) for line, text in lines if text.strip()]
    if not answers:
        raise Misconfigured("the dataset has no answers")
    return answers


def _answer(line: int, text: bytes) -> Answer:
    try:
        said: Any = msgspec.json.decode(text)
        if not isinstance(said, dict):
            raise msgspec.ValidationError("Expected `object`")
        answer = msgspec.convert({"id": str(line), **cast("dict[str, Any]", said)}, Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"line {line} is no labelled answer: {error}") from None
    if answer.label not in LABELS:
        raise Misconfigured(f"line {line}: label is one of {', '.join(LABELS)}, not '{answer.label}'")
    if not answer.answer.strip():
        raise Misconfigured(f"line {line} is no labelled answer: it is empty")
    return answer


def evaluation(answers: Sequence[Answer], taken: Sequence[Taken], setting: Mapping[str, Any]) -> GroundingEvaluation:
    """Return what was found of the answers, taken in their order."""
    confusion: dict[str, dict[str, int]] = {label: dict.fromkeys(LABELS, 0) for label in LABELS}
    kinds: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for answer, one in zip(answers, taken, strict=True):
        confusion[answer.label][one.label] += 1
        kinds[answer.label, answer.kind].append(answer.label == one.label)
    labels = {label: _of_label(label, confusion) for label in LABELS}
    present = [found.f1 for found in labels.values() if found.answers]
    times = sorted(one.milliseconds for one in taken)
    return GroundingEvaluation(
        answers=len(answers),
        macro_f1=round(sum(present) / len(present), 6),
        accuracy=share(sum(confusion[label][label] for label in LABELS), len(answers)),
        labels=labels,
        kinds=[OfKind(label, kind, len(right), sum(right)) for (label, kind), right in sorted(kinds.items())],
        confusion=confusion,
        mean_score=_mean_scores(answers, taken),
        p50_ms=_quantile(times, 0.5),
        p95_ms=_quantile(times, 0.95),
        setting=dict(setting),
    )


def _of_label(label: str, confusion: Mapping[str, Mapping[str, int]]) -> OfLabel:
    right = confusion[label][label]
    answers, taken = sum(confusion[label].values()), sum(row[label] for row in confusion.values())
    f1 = 2 * right / (answers + taken) if answers + taken else 0.0
    return OfLabel(answers, _ratio(right, taken), _ratio(right, answers), round(f1, 6))


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _mean_scores(answers: Sequence[Answer], taken: Sequence[Taken]) -> dict[str, float]:
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for answer, one in zip(answers, taken, strict=True):
        scores[answer.label].append(one.score)
    return {label: round(sum(scores[label]) / len(scores[label]), 4) for label in LABELS if label in scores}


def _quantile(ordered: Sequence[float], share_below: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share_below))], 2)

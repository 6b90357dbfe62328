"""Judging retrieval: where the documents that answer stand among those that are found."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock_suite.domain.retrieval_dataset import Question

MODES = ("dense", "sparse", "hybrid", "hybrid+rerank")
_DEPTH = 10
_SHORT = 5
_RESAMPLES = 1000
_SEED = 13
_TAIL = 0.025
_DIGITS = 4


class Ranked(msgspec.Struct, frozen=True):
    """What was found of a question in one mode: documents, the best first."""

    documents: tuple[str, ...]
    milliseconds: float
    degraded: tuple[str, ...] = ()


class Interval(msgspec.Struct, frozen=True):
    """95 % of what is found when subjects are drawn anew, with what they repeat."""

    low: float
    high: float


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Means over questions. nDCG's gain is the grade, as trec_eval has it; what is behind the tenth counts as not found."""

    ndcg_10: float = msgspec.field(name="ndcg@10")
    recall_10: float = msgspec.field(name="recall@10")
    recall_5: float = msgspec.field(name="recall@5")
    mrr: float
    hit_1: float = msgspec.field(name="hit@1")
    precision_5: float = msgspec.field(name="precision@5")
    right_subject_1: float | None = msgspec.field(name="right_subject@1", default=None)
    """None where ids do not tell subjects."""
    right_subject_wrong_variant_1: float | None = msgspec.field(name="right_subject_wrong_variant@1", default=None)
    queries: int


class ModeQuality(Quality, frozen=True, kw_only=True):
    """The same of one mode, with what it is made of."""

    by_kind: dict[str, Quality]
    intervals: dict[str, Interval]
    p50_ms: float
    degraded: int
    """Questions that a part of the search did not answer."""


class Gain(msgspec.Struct, frozen=True):
    """How much better one mode is than another, over the same questions."""

    ndcg_10: float = msgspec.field(name="ndcg@10")
    relative: float | None
    interval: Interval
    """Of the difference, not of the relative one."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One model with one splitter."""

    model: str
    model_revision: str
    splitter: str
    chunks: int
    modes: dict[str, ModeQuality]
    gains: dict[str, Gain]
    left_out: dict[str, str]
    """Documents that could not be read, and why."""
    seconds: float


class RetrievalEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; ``modes`` are those of the first run."""

    modes: dict[str, ModeQuality]
    runs: list[Run]
    documents: int
    queries: int
    qrels: str
    setting: dict[str, Any]


class _Scores(msgspec.Struct, frozen=True):
    """Of one question."""

    ndcg: float
    recall: float
    recall_5: float
    reciprocal_rank: float
    hit: float
    precision_5: float
    right_subject: float | None


def judged(
    questions: Sequence[Question], ranked: Mapping[str, Sequence[Ranked]], subjects: Mapping[str, str]
) -> tuple[dict[str, ModeQuality], dict[str, Gain]]:
    """Return the quality of each mode, and how much each is better than the one before it."""
    groups = _groups(questions, subjects)
    scores = {
        mode: [_scores(question, one, subjects) for question, one in zip(questions, answers, strict=True)]
        for mode, answers in ranked.items()
    }
    modes = {mode: _mode(questions, scores[mode], ranked[mode], groups) for mode in ranked}
    gains = {
        f"{mode} over {base}": _gain(scores[base], scores[mode], groups)
        for base, mode in (("dense", "hybrid"), ("sparse", "hybrid"), ("hybrid", "hybrid+rerank"))
        if base in scores and mode in scores
    }
    return modes, gains


def _mode(
    questions: Sequence[Question], scores: Sequence[_Scores], ranked: Sequence[Ranked], groups: Sequence[Sequence[int]]
) -> ModeQuality:
    by_kind: dict[str, list[_Scores]] = defaultdict(list)
    for question, one in zip(questions, scores, strict=True):
        by_kind[question.kind].append(one)
    times = sorted(one.milliseconds for one in ranked)
    return ModeQuality(
        **_means(scores),
        by_kind={kind: Quality(**_means(of_kind)) for kind, of_kind in sorted(by_kind.items()) if kind},
        intervals={
            "ndcg@10": _interval([one.ndcg for one in scores], groups),
            "hit@1": _interval([one.hit for one in scores], groups),
        },
        p50_ms=round(times[len(times) // 2], 2),
        degraded=sum(bool(one.degraded) for one in ranked),
    )


def _means(scores: Sequence[_Scores]) -> dict[str, Any]:
    def mean(value: Callable[[_Scores], float]) -> float:
        return round(sum(map(value, scores)) / len(scores), _DIGITS)

    subjects = [one for one in scores if one.right_subject is not None]
    right = sum(one.right_subject or 0.0 for one in subjects) / len(subjects) if subjects else None
    wrong = sum((one.right_subject or 0.0) - one.hit for one in subjects) / len(subjects) if subjects else None
    return {
        "ndcg_10": mean(lambda one: one.ndcg),
        "recall_10": mean(lambda one: one.recall),
        "recall_5": mean(lambda one: one.recall_5),
        "mrr": mean(lambda one: one.reciprocal_rank),
        "hit_1": mean(lambda one: one.hit),
        "precision_5": mean(lambda one: one.precision_5),
        "right_subject_1": None if right is None else round(right, _DIGITS),
        "right_subject_wrong_variant_1": None if wrong is None else round(wrong, _DIGITS),
        "queries": len(scores),
    }


def _scores(question: Question, ranked: Ranked, subjects: Mapping[str, str]) -> _Scores:
    grades, found = question.grades, ranked.documents[:_DEPTH]
    ideal = sorted(grades.values(), reverse=True)[:_DEPTH]
    first = next((place for place, one in enumerate(found, 1) if one in grades), 0)
    wanted = {subjects[one] for one in grades if one in subjects}
    return _Scores(
        ndcg=_discounted([grades.get(one, 0) for one in found]) / _discounted(ideal),
        recall=sum(one in found for one in grades) / len(grades),
        recall_5=sum(one in found[:_SHORT] for one in grades) / len(grades),
        reciprocal_rank=1 / first if first else 0.0,
        hit=float(first == 1),
        precision_5=sum(one in grades for one in found[:_SHORT]) / _SHORT,
        right_subject=float(first == 1 or (bool(found) and subjects.get(found[0]) in wanted)) if wanted else None,
    )


def _discounted(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(place + 1) for place, grade in enumerate(grades, 1))


def _groups(questions: Sequence[Question], subjects: Mapping[str, str]) -> list[list[int]]:
    """Return the places of questions of one subject: their errors are not independent of one another."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, question in enumerate(questions):
        document = question.relevant[0].doc
        groups[subjects.get(document, document)].append(place)
    return list(groups.values())


def _gain(base: Sequence[_Scores], better: Sequence[_Scores], groups: Sequence[Sequence[int]]) -> Gain:
    differences = [one.ndcg - other.ndcg for other, one in zip(base, better, strict=True)]
    mean = sum(differences) / len(differences)
    before = sum(one.ndcg for one in base) / len(base)
    relative = round(mean / before, _DIGITS) if before else None
    return Gain(round(mean, _DIGITS), relative, _interval(differences, groups))


def _interval(values: Sequence[float], groups: Sequence[Sequence[int]]) -> Interval:
    draw = random.Random(_SEED)
    sums = [(sum(values[place] for place in group), len(group)) for group in groups]
    means: list[float] = []
    for _ in range(_RESAMPLES):
        drawn = draw.choices(sums, k=len(sums))
        means.append(sum(total for total, _ in drawn) / sum(count for _, count in drawn))
    means.sort()
    low, high = means[int(_TAIL * _RESAMPLES)], means[int((1 - _TAIL) * _RESAMPLES) - 1]
    return Interval(round(low, _DIGITS), round(high, _DIGITS))

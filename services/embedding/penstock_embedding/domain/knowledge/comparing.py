"""Whether one way to search finds worse than another, by the same questions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from penstock_common.contract.knowledge import EvaluationQuery, Hit, RetrievalQuality, SearchMode

AT = 10
_SURE = 0.05


class Scores(NamedTuple):
    """How well one question is answered, each 0 to 1."""

    ndcg: float
    recall: float
    precision: float
    reciprocal_rank: float
    hit_at_1: float


def documents_of(hits: Sequence[Hit]) -> list[str]:
    """Return the documents of hits, each where its best one is."""
    return list(dict.fromkeys(hit.chunk.document for hit in hits))


def scores_of(found: Sequence[str], query: EvaluationQuery) -> Scores:
    """Return how well the documents that were found, the best first, answer the question."""
    grades: Mapping[str, int] = {one.document: one.grade for one in query.relevant if one.grade}
    top = found[:AT]
    gains = [2 ** grades.get(document, 0) - 1 for document in top]
    best = sorted((2**grade - 1 for grade in grades.values()), reverse=True)[:AT]
    hits = [rank for rank, document in enumerate(top) if document in grades]
    return Scores(
        ndcg=_discounted(gains) / _discounted(best) if best else 0.0,
        recall=len(hits) / len(grades) if grades else 0.0,
        precision=len(hits) / AT,
        reciprocal_rank=1 / (hits[0] + 1) if hits else 0.0,
        hit_at_1=float(bool(hits) and hits[0] == 0),
    )


def quality_of(scores: Sequence[Scores], mode: SearchMode) -> RetrievalQuality:
    """Return the means."""
    count = max(1, len(scores))
    means = [math.fsum(column) / count for column in zip(*scores, strict=True)] or [0.0] * len(Scores._fields)
    return RetrievalQuality(mode, len(scores), *means)


def why_worse(new: Sequence[Scores], old: Sequence[Scores], allowed_loss: float) -> str:
    """Return why the new answers are worse than the old ones of the same questions; empty if they are not.

    They are if nDCG falls by more than is allowed, or if more questions are answered worse than better, by a sign test
    that would say so of equal ones once in twenty times.
    """
    differences = [after.ndcg - before.ndcg for after, before in zip(new, old, strict=True)]
    fall = -math.fsum(differences) / max(1, len(differences))
    if fall > allowed_loss:
        return f"nDCG at {AT} falls by {fall:.3f}, and {allowed_loss:g} is allowed"
    better = sum(difference > 0 for difference in differences)
    worse = sum(difference < 0 for difference in differences)
    if fall > 0 and worse > better and _sign_test(worse, better) < _SURE:
        return f"{worse} questions are answered worse and {better} better, which is no accident"
    return ""


def _discounted(gains: Sequence[int]) -> float:
    return math.fsum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def _sign_test(worse: int, better: int) -> float:
    """Return how often a fair coin would fall so, or more so, on one side."""
    total = worse + better
    return math.fsum(math.comb(total, count) for count in range(worse, total + 1)) / 2**total

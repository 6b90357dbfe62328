from __future__ import annotations

import pytest

from penstock_common.contract.knowledge import EvaluationQuery, RelevantDocument
from penstock_embedding.domain.knowledge.comparing import Scores, quality_of, scores_of, why_worse

QUERY = EvaluationQuery("q", [RelevantDocument("best", 3), RelevantDocument("part", 2), RelevantDocument("none", 0)])


def test_scores_are_those_of_the_books():
    assert scores_of(["best", "part", "x"], QUERY) == Scores(1.0, 1.0, 0.2, 1.0, 1.0)
    second = scores_of(["x", "best"], QUERY)
    assert second.ndcg == pytest.approx((7 / 1.58496) / (7 + 3 / 1.58496), rel=1e-4)
    assert second[1:] == (0.5, 0.1, 0.5, 0.0)
    assert scores_of(["x", "none"], QUERY) == Scores(0.0, 0.0, 0.0, 0.0, 0.0)
    # Beyond ten nothing counts.
    assert scores_of([*map(str, range(10)), "best"], QUERY).recall == 0


def scored(*ndcg: float) -> list[Scores]:
    return [Scores(one, 0, 0, 0, 0) for one in ndcg]


def test_what_is_equal_or_better_is_not_worse():
    assert not why_worse(scored(0.5, 0.5), scored(0.5, 0.5), 0.0)
    assert not why_worse(scored(0.4, 0.9), scored(0.5, 0.5), 0.0)


def test_a_fall_within_what_is_allowed_is_let_be_unless_it_is_no_accident():
    old = scored(*[0.5] * 8)
    assert not why_worse(scored(0.45, *[0.5] * 7), old, 0.01)
    assert "falls by 0.012, and 0.01 is allowed" in why_worse(scored(0.4, *[0.5] * 7), old, 0.01)
    assert "8 questions are answered worse and 0 better" in why_worse(scored(*[0.495] * 8), old, 0.01)
    # Four of four happen once in sixteen times.
    assert not why_worse(scored(*[0.495] * 4), scored(*[0.5] * 4), 0.01)


def test_quality_is_the_mean():
    quality = quality_of([Scores(1, 1, 0.1, 1, 1), Scores(0, 0.5, 0.1, 0, 0)], "hybrid")
    assert (quality.queries, quality.ndcg, quality.recall, quality.hit_at_1) == (2, 0.5, 0.75, 0.5)
    assert quality_of([], "dense").ndcg == 0

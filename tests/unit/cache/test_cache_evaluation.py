from __future__ import annotations

import pytest

from penstock_cache.domain.evaluation import JudgedPair, bare, by_kind, figures_of, guarded, trade_off, wilson

PAIRS = [
    JudgedPair("paraphrase", is_same=True, score=0.9, is_vetoed=False, similarity=0.7),
    JudgedPair("paraphrase", is_same=True, score=0.4, is_vetoed=False, similarity=0.9),
    JudgedPair("entity_swap", is_same=False, score=0.8, is_vetoed=False, similarity=0.95),
    JudgedPair("entity_swap", is_same=False, score=0.95, is_vetoed=True, similarity=0.95),
]


def test_what_is_vetoed_is_never_served_and_the_rest_from_the_threshold_on() -> None:
    figures = figures_of(PAIRS, guarded(0.8))
    assert (figures.pairs, figures.hits) == (4, 2)
    assert (figures.served_true_ratio, figures.false_of_hits_ratio, figures.served_false_ratio) == (0.5, 0.5, 0.5)


def test_the_cosine_alone_knows_no_veto() -> None:
    assert figures_of(PAIRS, bare(0.95)).false_of_hits_ratio == 1.0


def test_without_hits_nothing_is_said_of_them() -> None:
    figures = figures_of(PAIRS, guarded(1.0))
    assert figures.false_of_hits_ratio is None
    assert figures.false_of_hits_interval is None
    assert figures.served_true_ratio == 0.0


def test_each_kind_has_its_figures() -> None:
    kinds = by_kind(PAIRS, guarded(0.8))
    assert list(kinds) == ["entity_swap", "paraphrase"]
    assert kinds["entity_swap"].served_true_ratio is None
    assert kinds["paraphrase"].served_true_ratio == 0.5


def test_less_is_served_at_each_higher_threshold() -> None:
    hits = [point.figures.hits for point in trade_off(PAIRS, guarded, steps=10)]
    assert len(hits) == 11
    assert hits == sorted(hits, reverse=True)


def test_an_interval_of_nothing_found_still_has_a_width() -> None:
    interval = wilson(0, 100)
    assert interval is not None
    assert interval == pytest.approx((0.0, 0.03699), abs=1e-4)
    assert wilson(0, 0) is None

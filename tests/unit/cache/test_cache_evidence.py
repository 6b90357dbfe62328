from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_cache.domain.meaning.decision import Seen, decide
from penstock_cache.domain.meaning.evidence import NEVER, NO_EVIDENCE, Evidence, right_bound, threshold_of

sys.path.insert(0, str(Path(__file__).parents[3] / "bench"))

from semantic_learning import MAX_ERROR, Outcome, simulate  # noqa: E402

COLD = 0.9
scores = st.floats(0, 1)
observations = st.lists(st.tuples(scores, st.booleans()), max_size=60)


def _evidence(pairs: list[tuple[float, bool]]) -> Evidence:
    evidence = NO_EVIDENCE
    for score, is_same in pairs:
        evidence = evidence.with_one(score, is_same=is_same)
    return evidence


@settings(max_examples=60, deadline=None)
@given(observations)
def test_evidence_comes_back_from_its_text(pairs: list[tuple[float, bool]]) -> None:
    evidence = _evidence(pairs)
    assert Evidence.from_text(evidence.to_text()) == evidence
    assert (evidence.same, evidence.different) == (sum(s for _, s in pairs), sum(not s for _, s in pairs))
    assert len(evidence.to_text()) < 400


@settings(max_examples=60, deadline=None)
@given(observations)
def test_nothing_is_served_at_or_below_a_score_that_was_wrong(pairs: list[tuple[float, bool]]) -> None:
    evidence = _evidence(pairs)
    wrong = [score for score, is_same in pairs if not is_same]
    assert all(threshold_of(evidence, COLD, 0.01) > round(score, 3) for score in wrong)


@settings(max_examples=40, deadline=None)
@given(observations)
def test_a_learned_threshold_keeps_the_bound_and_never_asks_more_than_the_guard_does(
    pairs: list[tuple[float, bool]],
) -> None:
    evidence = _evidence(pairs)
    threshold = threshold_of(evidence, COLD, 0.01)
    if threshold < COLD:
        assert right_bound(evidence, threshold) >= 0.99
    if all(is_same for _, is_same in pairs):
        assert threshold <= COLD


@settings(max_examples=40, deadline=None)
@given(observations, scores)
def test_one_more_of_the_same_never_raises_a_threshold_and_a_different_one_never_lowers_it(
    pairs: list[tuple[float, bool]], score: float
) -> None:
    evidence = _evidence(pairs[:40])
    before = threshold_of(evidence, COLD, 0.01)
    assert threshold_of(evidence.with_one(score, is_same=False), COLD, 0.01) >= before - 0.002
    assert threshold_of(evidence.with_one(0.7, is_same=True), COLD, 0.01) <= before + 0.002


def test_many_wordings_with_the_same_answer_lower_the_threshold() -> None:
    evidence = _evidence([(0.7, True)] * 48)
    assert threshold_of(evidence, COLD, 0.01) == COLD
    assert threshold_of(evidence, COLD, 0.05) < 0.8


def test_a_wrong_answer_at_a_full_score_ends_it() -> None:
    assert threshold_of(_evidence([(1.0, False)]), COLD, 0.01) == NEVER


@pytest.mark.parametrize("text", ["x", "1 2", "1 2 3 4?", "a b c"])
def test_what_is_no_evidence_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Evidence.from_text(text)


def test_what_one_user_alone_has_seen_takes_a_surer_guard_for_others() -> None:
    strict = Seen(is_shared=False)
    assert decide(0.95, Seen(), COLD, 0.97, 0.01).is_served
    assert decide(0.95, strict, COLD, 0.97, 0.01).reason == "user"
    assert decide(0.97, strict, COLD, 0.97, 0.01).is_served
    assert decide(0.89, Seen(), COLD, 0.97, 0.01).reason == "cold"
    assert decide(0.89, Seen(_evidence([(0.5, True)])), COLD, 0.97, 0.01).reason == "learned"


def _together(outcomes: list[Outcome]) -> tuple[float, float]:
    served, false = sum(each.served for each in outcomes), sum(each.false for each in outcomes)
    return served / sum(each.requests for each in outcomes), false / served


def test_over_traffic_that_repeats_rewords_and_changes_the_bound_holds_and_more_is_served() -> None:
    outcomes = simulate(4000, seed=3)
    served, false = _together(outcomes)
    cold_served, _ = _together(simulate(4000, seed=3, learns=False))
    assert false <= MAX_ERROR
    assert served > cold_served + 0.05
    assert outcomes[-1].served / outcomes[-1].requests > outcomes[0].served / outcomes[0].requests + 0.08

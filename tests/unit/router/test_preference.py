"""A model that wants to be fast: the first stays so until another is faster by a margin."""

import dataclasses
import random

import pytest

from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Condition, UpstreamState
from penstock_router.domain.preference import PreferenceRules, preferred

RULES = PreferenceRules(latency_margin=0.2, explore_ratio=0.02, measured_seconds=60)
A, B, C = (Candidate(upstream=name, model="m") for name in "abc")
CONFIGURED = [A, B, C]


def known(name, latency=None, condition=Condition.OK, measured=1.0):
    measured = None if latency is None else measured
    return UpstreamState(candidate=name, condition=condition, latency_seconds=latency, measured_seconds=measured)


def order_of(*states, first=A):
    return list(preferred(first, CONFIGURED, {one.candidate: one for one in states}, RULES).order)


@pytest.mark.parametrize(
    ("latencies", "first", "order"),
    [
        ((0.5, 0.3, 0.4), A, [B, C, A]),
        # Within the margin: whoever was first stays first.
        ((0.5, 0.45, 0.9), A, [A, B, C]),
        ((0.5, 0.45, 0.9), B, [B, A, C]),
        ((0.45, 0.5, 0.9), B, [B, A, C]),
        # The margin is of the faster one's own time.
        ((0.359, 0.3, 0.9), A, [A, B, C]),
        ((0.361, 0.3, 0.9), A, [B, A, C]),
    ],
)
def test_the_fastest_comes_first_once_it_is_faster_by_the_margin(latencies, first, order):
    states = [known(name, seconds) for name, seconds in zip(CONFIGURED, latencies, strict=True)]
    assert order_of(*states, first=first) == order


def test_of_whom_nothing_is_known_comes_after_in_the_configurations_order():
    assert order_of(known(C, 0.9)) == [C, A, B]
    assert order_of() == CONFIGURED


@pytest.mark.parametrize("condition", [Condition.SLOW, Condition.COOLING, Condition.EJECTED, Condition.BY_HAND])
def test_who_is_not_well_comes_last_however_fast_it_was(condition):
    assert order_of(known(A, 0.1, condition), known(B, 2.0)) == [B, C, A]


def test_who_was_first_is_not_spared_for_that_once_it_is_not_well_and_is_spared_among_its_like():
    slow = [known(name, latency, Condition.SLOW) for name, latency in ((A, 0.5), (B, 0.45), (C, 0.9))]
    assert order_of(*slow) == [A, B, C]


def test_noise_within_the_margin_never_changes_who_is_first():
    chance = random.Random(5)
    first = A
    for _ in range(1000):
        states = {name: known(name, chance.uniform(0.5, 0.59)) for name in CONFIGURED}
        first = preferred(first, CONFIGURED, states, RULES).order[0]
        assert first == A


def test_who_is_well_and_not_measured_is_to_be_tried_and_nobody_else():
    states = {
        A: known(A, 0.1, measured=500.0),
        B: known(B, 0.2, measured=59.0),
        C: known(C, 0.3, measured=61.0),
    }
    # Whoever is first is asked anyway.
    assert preferred(A, CONFIGURED, states, RULES).unmeasured == (C,)
    assert preferred(A, CONFIGURED, {A: states[A]}, RULES).unmeasured == (B, C)
    ejected = known(C, 0.3, Condition.EJECTED, measured=61.0)
    assert preferred(A, CONFIGURED, {**states, C: ejected}, RULES).unmeasured == ()


def paced(name, latency, token_seconds):
    return UpstreamState(candidate=name, latency_seconds=latency, measured_seconds=1.0, token_seconds=token_seconds)


def test_the_time_of_an_answer_counts_where_all_paces_are_known_and_the_first_token_where_not():
    quick_to_begin, quick_to_end = paced(A, 0.1, 0.05), paced(B, 0.5, 0.01)
    states = {A: quick_to_begin, B: quick_to_end}
    found = preferred(A, [A, B], states, RULES)
    assert found.order == (B, A)
    assert found.latencies == {A: "5 s to 100 tokens", B: "1.5 s to 100 tokens"}
    assert preferred(B, [A, B], states, dataclasses.replace(RULES, answer_tokens=1)).order == (A, B)
    unpaced = {A: quick_to_begin, B: paced(B, 0.5, None)}
    found = preferred(B, [A, B], unpaced, RULES)
    assert (found.order, found.latencies) == ((A, B), {A: "0.1 s", B: "0.5 s"})

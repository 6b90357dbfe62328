"""What is late, and how many may be hedged: over any stretch of requests, and not in the mean alone."""

from __future__ import annotations

import math
import random
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.llm.types import Candidate, GenerationInput, Message, Role, Text
from penstock_inference.domain.hedging import (
    BURST,
    LATE_QUANTILE,
    SAMPLES_KEPT,
    SAMPLES_WANTED,
    FirstTokens,
    Hedging,
    HedgingRules,
)

CANDIDATE = Candidate(upstream="u", model="m")


def asked(characters: int) -> GenerationInput:
    return GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * characters),)),))


def test_nothing_is_late_before_enough_is_known() -> None:
    known = FirstTokens()
    for _ in range(SAMPLES_WANTED - 1):
        known.observe(0.1)
    assert known.late_after == math.inf
    known.observe(0.1)
    assert known.late_after == 0.1


@settings(max_examples=30)
@given(st.lists(st.floats(0, 100), min_size=SAMPLES_WANTED, max_size=2 * SAMPLES_KEPT))
def test_late_is_what_is_later_than_95_of_100_of_the_last(seconds: list[float]) -> None:
    known = FirstTokens()
    for each in seconds:
        known.observe(each)
    last = sorted(seconds[-SAMPLES_KEPT:])
    assert known.late_after == last[math.ceil(LATE_QUANTILE * len(last)) - 1]
    assert sum(each > known.late_after for each in last) <= len(last) * (1 - LATE_QUANTILE) + 1e-9


def test_what_was_long_ago_is_forgotten() -> None:
    known = FirstTokens()
    for _ in range(SAMPLES_KEPT):
        known.observe(9.0)
    for _ in range(SAMPLES_KEPT):
        known.observe(0.2)
    assert known.late_after == 0.2


def test_one_that_was_late_and_not_waited_for_counts_and_one_that_was_not_late_says_nothing() -> None:
    known = FirstTokens()
    for number in range(SAMPLES_WANTED):
        known.observe(number / 100)
    before = known.late_after
    known.outlasted(before / 2)
    assert known.late_after == before
    for _ in range(5):
        known.outlasted(5.0)
    assert before < known.late_after


def test_late_is_known_of_each_model_for_prompts_of_one_size() -> None:
    hedging = Hedging(HedgingRules(least_seconds=0.0))
    short, long = hedging.first_tokens(CANDIDATE, asked(40)), hedging.first_tokens(CANDIDATE, asked(40_000))
    assert short is hedging.first_tokens(Candidate(upstream="u", model="m"), asked(44))
    assert long is not short
    assert hedging.first_tokens(Candidate(upstream="u", model="other"), asked(40)) is not short
    for _ in range(SAMPLES_WANTED):
        short.observe(0.1)
    assert (hedging.delay(short), hedging.delay(long)) == (0.1, math.inf)


def test_nothing_is_late_that_comes_sooner_than_the_least_time() -> None:
    hedging = Hedging(HedgingRules(least_seconds=0.3))
    known = hedging.first_tokens(CANDIDATE, asked(40))
    for _ in range(SAMPLES_WANTED):
        known.observe(0.01)
    assert hedging.delay(known) == 0.3


@given(st.floats(0.001, 0.5), st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120))
def test_the_share_holds_over_any_stretch_of_requests(share: float, requests: list[tuple[bool, bool]]) -> None:
    hedging = Hedging(HedgingRules(share))
    made: list[int] = []
    for is_late, asks_somebody in requests:
        hedging.note_request()
        made.append(is_late and hedging.take())
        if made[-1] and not asks_somebody:
            hedging.give_back()
            made[-1] = 0
    until = [0, *accumulate(made)]
    for first in range(len(requests)):
        for end in range(first + 1, len(requests) + 1):
            assert until[end] - until[first] <= share * (end - first) + BURST + 1e-6


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_the_share_is_all_used_where_more_are_late(share: float) -> None:
    chance, hedging, requests = random.Random(5), Hedging(HedgingRules(share)), 20_000
    made = 0
    for _ in range(requests):
        hedging.note_request()
        made += chance.random() < 2 * share and hedging.take()
    assert share * requests - 1 <= made <= share * requests + BURST


def test_another_share_holds_from_its_setting_on() -> None:
    hedging = Hedging(HedgingRules(0.5))
    while hedging.take():
        pass
    hedging.rules = HedgingRules(0.01)
    for _ in range(100):
        assert not hedging.take()
        hedging.note_request()
    assert hedging.take()


def test_what_was_learned_of_models_that_are_gone_is_forgotten_and_of_the_others_it_is_kept() -> None:
    hedging, gone = Hedging(), Candidate(upstream="gone", model="m")
    kept, lost = hedging.first_tokens(CANDIDATE, asked(1)), hedging.first_tokens(gone, asked(1))
    hedging.keep_only([CANDIDATE])
    assert hedging.first_tokens(CANDIDATE, asked(1)) is kept
    assert hedging.first_tokens(gone, asked(1)) is not lost

"""What a request is expected to use: by what was learned, within what is allowed."""

from __future__ import annotations

import random

import pytest

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import UnitPrices, Usage
from penstock_gateway.domain.limits.admission import Demand
from penstock_gateway.domain.limits.lengths import LEAST_SAMPLES, LEAST_TOKENS, MOST_SKETCHES, Lengths
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.needs import LOOK_AHEAD_TOKENS, Asked, Needs, NeedTerms, Weights, dearest
from penstock_gateway.domain.limits.windows import NOW, PER_MINUTE, Window, WindowKind

PRICES = UnitPrices(input_nano_usd=1_000_000_000, output_nano_usd=4_000_000_000)
"""$1 and $4 for a million."""


def limit(measure, amount=1_000_000, *, burst=0, shadow=False):
    window = {Measure.SPEND: Window(WindowKind.MONTH), Measure.CONCURRENT: NOW}.get(measure, PER_MINUTE)
    return Limit("t", Scope(ScopeKind.TEAM, "search"), Allowance(measure, window, amount, burst), str(measure), shadow)


TOKENS, SPEND = limit(Measure.TOKENS), limit(Measure.SPEND, 10**9)


def needs(**terms):
    return Needs(NeedTerms(**{"first_output_tokens": 1_000, **terms}))


def learned(lengths, tenant="t", model="m", **terms):
    known = needs(**terms)
    for length in lengths:
        known.note_answer(tenant, model, length)
    return known


def test_where_nothing_is_estimated_nothing_is_demanded():
    limits = (limit(Measure.REQUESTS), limit(Measure.CONCURRENT))
    assert needs().demand_of("t", "m", limits, Asked(10**9)) == Demand()


def test_while_too_little_is_known_an_answer_has_the_first_length():
    known = learned([10] * (LEAST_SAMPLES - 1))
    assert known.demand_of("t", "m", (TOKENS,), Asked(10)).tokens == 10 + 1_000 + LOOK_AHEAD_TOKENS


def test_an_answer_is_expected_as_long_as_most_were():
    rng = random.Random(14)
    known = learned([rng.randrange(200, 400) for _ in range(200)])
    expected = known.demand_of("t", "m", (TOKENS,), Asked(0)).tokens - LOOK_AHEAD_TOKENS
    assert 390 <= expected <= 400 * 1.19 + 1


def test_what_one_tenant_or_model_does_says_nothing_of_another():
    known = learned([10] * 100)
    for tenant, model in (("other", "m"), ("t", "other")):
        assert known.demand_of(tenant, model, (TOKENS,), Asked(0)).tokens == 1_000 + LOOK_AHEAD_TOKENS


def test_a_flood_of_short_answers_makes_none_look_free():
    assert Lengths(0.95, 1_000).expected("t", "m") == 1_000
    known = learned([1] * 1_000)
    assert known.lengths.expected("t", "m") == LEAST_TOKENS


def test_old_answers_are_forgotten():
    known = learned([4_000] * 300 + [100] * 2_000)
    assert known.lengths.expected("t", "m") <= 128


def test_no_more_is_remembered_than_there_is_room_for():
    lengths = Lengths(0.95, 1_000)
    for number in range(MOST_SKETCHES + 10):
        lengths.note(f"t{number}", "m", 10)
    assert len(lengths._sketches) == MOST_SKETCHES


@pytest.mark.parametrize(
    ("most", "choices", "tokens"), [(50, 1, 50), (50, 3, 150), (64_000, 1, 1_064), (None, 2, 2_128)]
)
def test_an_answer_is_no_longer_than_asked_for_and_each_choice_has_its_own(most, choices, tokens):
    assert needs().demand_of("t", "m", (TOKENS,), Asked(0, most, choices)).tokens == tokens


def test_tokens_are_weighed_and_rounded_up():
    weights = Weights(input=1.0, cached_input=0.1, output=1.5)
    assert weights.of(Usage(input_tokens=101, cached_input_tokens=100, output_tokens=10)) == 26
    assert weights.of(Usage(input_tokens=11, cached_input_tokens=11)) == 2


def test_an_answer_that_may_only_become_long_is_let_in_by_what_a_limit_can_let_in():
    assert needs().demand_of("t", "m", (limit(Measure.TOKENS, 5_000, burst=500),), Asked(10)).tokens == 500


def test_what_is_asked_alone_may_be_more_than_a_limit_ever_lets_through():
    with pytest.raises(InvalidRequest, match=r"600 tokens.*team search may use 5000 tokens per minute, 500 at once"):
        needs().demand_of("t", "m", (limit(Measure.TOKENS, 5_000, burst=500),), Asked(600))
    # A shadow refuses nothing.
    assert needs().demand_of("t", "m", (limit(Measure.TOKENS, 500, shadow=True),), Asked(600)).tokens > 600


def test_spend_is_the_dearest_candidates_and_not_all_that_an_answer_may_cost():
    known = needs()
    assert known.demand_of("t", "m", (SPEND,), Asked(100, 64_000)) == Demand()
    known.note_prices("m", PRICES)
    demand = known.demand_of("t", "m", (SPEND,), Asked(100, 64_000))
    # 125 tokens of input, as they are estimated, and 1,064 of output.
    assert demand.spend == 125 * 1_000 + 1_064 * 4_000
    assert demand.most == 125 * 1_000 + 2 * 1_064 * 4_000


def test_what_may_be_no_longer_costs_no_more():
    known = needs()
    known.note_prices("m", PRICES)
    demand = known.demand_of("t", "m", (SPEND,), Asked(0, 100))
    assert demand.spend == demand.most == 100 * 4_000


def test_input_has_no_answer():
    known = needs()
    known.note_prices("m", PRICES)
    assert known.demand_of("t", "m", (TOKENS, SPEND), Asked(100, has_answer=False)) == Demand(100, 125_000, 125_000)


def test_the_dearest_is_so_by_each_price_and_input_may_be_written_to_a_cache():
    others = UnitPrices(input_nano_usd=5, output_nano_usd=10, cache_write_nano_usd=7)
    assert dearest((UnitPrices(input_nano_usd=6, output_nano_usd=9), others)) == UnitPrices(
        input_nano_usd=7, output_nano_usd=10
    )
    assert dearest((others, UnitPrices(is_unknown=True))) is None
    assert dearest(()) is None


def test_a_model_that_bills_for_what_it_does_not_tell_is_found_out():
    known = needs()
    known.note_answer("t", "m", 300, seen=200)
    assert not known.hides_output("m")
    known.note_answer("t", "m", 3_000, seen=200)
    assert known.hides_output("m")

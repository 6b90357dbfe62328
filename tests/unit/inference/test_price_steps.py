"""What long requests cost."""

import pytest

from penstock_common.llm.owed import Owed, is_owing, owed_in
from penstock_common.llm.types import Candidate, UnitPrices, Usage
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.price_steps import PriceStep
from penstock_inference.domain.tiers import asked_prices, prices_of

SHORT, LONG, LONGEST, FLEX, FLEX_LONG = (UnitPrices(input_nano_usd=price) for price in (1, 2, 3, 4, 5))
MODEL = Model(
    Candidate(upstream="a", model="m"),
    prices=SHORT,
    tier_prices={"flex": FLEX},
    price_steps={
        "": (PriceStep(100, LONG), PriceStep(200, LONGEST, counts_cached=False)),
        "flex": (PriceStep(100, FLEX_LONG),),
    },
)


@pytest.mark.parametrize(
    ("input_tokens", "cached", "prices"),
    [(100, 0, SHORT), (101, 0, LONG), (101, 101, LONG), (201, 1, LONG), (201, 0, LONGEST), (300, 100, LONG)],
)
def test_the_highest_step_that_the_input_is_above_prices_all_of_it(input_tokens, cached, prices):
    usage = Usage(input_tokens=input_tokens, cached_input_tokens=cached)
    assert prices_of(MODEL, "", "", usage) == asked_prices(MODEL, "", usage) == prices


def test_a_tier_has_steps_of_its_own():
    long = Usage(input_tokens=101)
    assert (prices_of(MODEL, "flex", "", long), prices_of(MODEL, "flex", "default", long)) == (FLEX_LONG, LONG)
    assert prices_of(MODEL, "", "priority", long) is None


def test_what_is_owed_comes_back_from_a_step_as_it_was_noted():
    usage = Usage(
        input_tokens=9,
        cached_input_tokens=1,
        cache_write_input_tokens=5,
        cache_write_1h_input_tokens=2,
        output_tokens=7,
        estimated=True,
    )
    for unknown in (False, True):
        owed = Owed(usage, UnitPrices(1, 2, 3, 4, 5, is_unknown=unknown))
        assert is_owing(owed.told())
        assert owed_in(owed.told()) == owed
    assert not is_owing({"input_nano_usd": 1})

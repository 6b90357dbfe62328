"""Prices as they are said, and as they are reckoned with."""

import pytest
from pydantic import ValidationError

from penstock_common.llm.types import UnitPrices
from penstock_common.prices import Price, unit_prices_of

USD = 10**9


def test_what_is_not_said_follows_from_what_is():
    prices = Price(input=2, output=8).unit_prices()
    assert prices == UnitPrices(input_nano_usd=2 * USD, cached_input_nano_usd=2 * USD, output_nano_usd=8 * USD)


def test_writes_to_a_cache_have_prices_of_their_own():
    prices = Price(input=2, cache_write="2.5", cache_write_1h=4).unit_prices()
    assert (prices.cache_write_nano_usd, prices.cache_write_1h_nano_usd) == (5 * USD // 2, 4 * USD)


def test_no_price_is_an_unknown_one_and_one_of_nothing_is_not():
    assert unit_prices_of(None) == UnitPrices(is_unknown=True)
    assert unit_prices_of(Price()) == UnitPrices()


def test_a_step_says_what_is_other_for_long_requests():
    price = Price(input=2, output=8, steps=[{"above_input_tokens": 9, "input": 4}])
    ((step, prices),) = price.unit_prices_above()
    assert (step.above_input_tokens, step.counts_cached) == (9, True)
    assert prices == UnitPrices(input_nano_usd=4 * USD, cached_input_nano_usd=4 * USD, output_nano_usd=8 * USD)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"input": 1, "cache_write": 0}, "nothing is no price"),
        ({"input": 0, "steps": [{"above_input_tokens": 1, "input": 1, "cache_write_1h": 0}]}, "nothing is no price"),
        ({"steps": [{"above_input_tokens": 2}, {"above_input_tokens": 2}]}, "from the lowest to the highest"),
        ({"steps": [{"above_input_tokens": 0}]}, "greater than 0"),
        ({"marginal": True}, "Extra inputs"),
    ],
)
def test_what_cannot_be_reckoned_with_is_refused(said, told):
    with pytest.raises(ValidationError, match=told):
        Price.model_validate(said)


def test_nothing_is_a_price_for_writes_where_all_input_is_free():
    assert Price.model_validate({"input": 0, "cache_write": 0}).unit_prices() == UnitPrices()

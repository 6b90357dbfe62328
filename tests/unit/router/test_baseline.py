"""Which model is the best of those that could be chosen, and what it is billed at."""

import pytest

from penstock_common.llm.types import Candidate, UnitPrices
from penstock_router.domain.baseline import best_prices
from penstock_router.domain.catalogue import UpstreamModel

UNKNOWN = UnitPrices(is_unknown=True)


def priced(output):
    return UnitPrices(input_nano_usd=1, output_nano_usd=output)


def entry(prices, quality=None, steps=()):
    here = Candidate(upstream="u", model="m")
    return UpstreamModel(here, "", 100, frozenset(), prices, price_steps=steps, quality=quality or {})


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry(priced(3)), entry(priced(9)), entry(UNKNOWN)], 9),
        ([entry(priced(9)), entry(priced(3), {"code": 0.9})], 3),
        ([entry(priced(9), {"code": 0.5, "default": 1}), entry(priced(3), {"default": 0.6})], 3),
        ([entry(priced(3), {"code": 0.8}), entry(priced(9), {"code": 0.8}), entry(priced(5), {"code": 0.8})], 9),
        ([entry(priced(3), {"code": 0.5}), entry(UNKNOWN, {"code": 0.9})], None),
        ([entry(UNKNOWN)], None),
        ([], None),
        ([entry(priced(3)), entry(priced(1), steps=((50, priced(20)),))], 20),
    ],
)
def test_the_best_is_of_the_highest_quality_or_else_the_dearest(entries, expected):
    found = best_prices(entries, "code", 51)
    assert (found and found.output_nano_usd) == expected

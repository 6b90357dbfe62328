"""What is owed for a question that was answered: by the upstream's count, where that can be true."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from penstock_common.llm.types import Candidate, UnitPrices
from penstock_inference.domain.rerank import answered_question


def given() -> Any:
    model = SimpleNamespace(
        candidate=Candidate(upstream="u", model="m"), prices=UnitPrices(input_nano_usd=1_000_000_000), search_unit_nano_usd=2_000_000
    )  # fmt: skip
    return SimpleNamespace(model=model, attempts=1)


def test_the_upstreams_count_is_billed():
    told = answered_question(given(), 1_000, 7)
    assert (told.input_tokens, told.is_estimated, told.cost_nano_usd) == (1_000, False, 1_000_000)
    told = answered_question(given(), 0, 7, search_units=2)
    assert (told.search_units, told.is_estimated, told.cost_nano_usd) == (2, False, 4_000_000)


@pytest.mark.parametrize(("tokens", "searches"), [(10**18, 0), (2**32, 0), (-1_000, 0), (0, 10**18), (0, -1), (0, 0)])
def test_what_cannot_be_true_is_estimated_and_fits_into_a_bill(tokens: int, searches: int):
    told = answered_question(given(), tokens, 7, searches)
    assert (told.input_tokens, told.search_units, told.is_estimated, told.cost_nano_usd) == (7, 0, True, 7_000)

"""Which fields ask for another price, and what an answer is billed at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock_common.llm.types import Candidate, GenerationInput, UnitPrices
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.tiers import AskedTier, asked_tier, prices_of

BASE, PRIORITY, FLEX = (UnitPrices(input_nano_usd=price) for price in (2, 4, 1))
MODEL = Model(Candidate(upstream="u", model="m"), prices=BASE, tier_prices={"priority": PRIORITY, "flex": FLEX})


def asked(**fields: Any) -> AskedTier | None:
    """Return the tier that these fields ask for."""
    return asked_tier(GenerationInput(model="m", messages=(), extra_json=json.dumps(fields)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"service_tier": None},
        {"service_tier": "auto"},
        {"service_tier": "default"},
        {"service_tier": "Default"},
        {"service_tier": "standard_only"},
        {"service_tier": "on_demand"},
        {"speed": "standard"},
        {"serviceTier": {"type": "default"}},
        {"inference_geo": "global"},
        {"top_a": 1, "model_hint": "x", "metadata": {"service_tier": "priority"}},
    ],
)
def test_the_standard_tier_asks_for_nothing(fields: dict[str, Any]) -> None:
    assert asked(**fields) is None


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({"service_tier": "priority"}, AskedTier("service_tier", "priority")),
        ({"service_tier": "PRIORITY"}, AskedTier("service_tier", "priority")),
        ({"service_tier": "scale"}, AskedTier("service_tier", "scale")),
        ({"serviceTier": "priority"}, AskedTier("serviceTier", "priority")),
        ({"Service-Tier": "flex"}, AskedTier("Service-Tier", "flex")),
        ({"speed": "fast"}, AskedTier("speed", "fast")),
        ({"inference_geo": "us"}, AskedTier("inference_geo", "us")),
        ({"performanceConfig": {"latency": "optimized"}}, AskedTier("performanceConfig", "optimized")),
        ({"serviceTier": {"type": "Flex"}}, AskedTier("serviceTier", "flex")),
        ({"serviceTier": {"type": "flex", "x": 1}}, AskedTier("serviceTier")),
        ({"serviceTier": {"type": 1}}, AskedTier("serviceTier")),
        ({"service_tier": 1}, AskedTier("service_tier")),
        ({"service_tier": ""}, AskedTier("service_tier")),
        ({"service_tier": ["priority"]}, AskedTier("service_tier")),
        ({"service_tier": "default", "speed": "fast"}, AskedTier("speed", "fast")),
        ({"service_tier": "priority", "speed": "fast"}, AskedTier("service_tier and speed")),
        ({"extra_body": {"service_tier": "priority"}}, AskedTier("service_tier", "priority")),
        ({"models": ["dear/model"]}, AskedTier("models")),
        ({"fallbacks": ["dear/model"]}, AskedTier("fallbacks")),
    ],
)
def test_whatever_changes_the_price_is_found(fields: dict[str, Any], tier: AskedTier) -> None:
    assert asked(**fields) == tier


def test_the_last_of_two_members_of_one_name_is_what_is_sent_on_and_what_counts() -> None:
    twice = '{"service_tier":"default","service_tier":"priority"}'
    assert asked_tier(GenerationInput(model="m", messages=(), extra_json=twice)) == AskedTier(
        "service_tier", "priority"
    )


@pytest.mark.parametrize("text", ["", "[]", "{", "nul"])
def test_what_is_no_object_asks_for_nothing(text: str) -> None:
    assert asked_tier(GenerationInput(model="m", messages=(), extra_json=text)) is None


@pytest.mark.parametrize(
    ("wanted", "answered", "prices"),
    [
        ("", "", BASE),
        ("", "default", BASE),
        ("", "priority", PRIORITY),
        ("priority", "", PRIORITY),
        ("priority", "priority", PRIORITY),
        ("priority", "default", BASE),
        ("priority", "Flex", FLEX),
        ("", "scale", None),
        ("priority", "scale", None),
    ],
)
def test_an_answer_costs_what_its_own_tier_costs(wanted: str, answered: str, prices: UnitPrices | None) -> None:
    assert prices_of(MODEL, wanted, answered) == prices

"""A dearer tier of service is asked for at its price, or not at all, whichever way it comes."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from penstock_common import errors
from penstock_common.llm.types import UnitPrices
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Answer, NoResponse

BASE = {"input": 1, "output": 2}
PRICED = [
    {
        "name": "m", "context_window": 4096, "price": BASE,
        "service_tiers": {"priority": {"input": 2, "output": 4}, "fast": {"input": 6, "output": 12}},
    }
]  # fmt: skip
USUAL, PRIORITY, FAST = (
    UnitPrices(input_nano_usd=n * 10**9, cached_input_nano_usd=n * 10**9, output_nano_usd=2 * n * 10**9)
    for n in (1, 2, 6)
)


def asking(**fields):
    return msgspec.structs.replace(QUESTION, extra_json=json.dumps(fields))


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
@pytest.mark.parametrize("settings", [{"passthrough": True}, {}], ids=["passthrough", "as it is"])
@pytest.mark.parametrize("fields", [{"service_tier": "priority"}, {"serviceTier": "flex"}, {"speed": "fast"}])
async def test_a_tier_without_a_price_is_refused_before_anybody_is_asked(serve, first, settings, fields, whole):
    caller = await serve(first.settings("first", **settings))
    outcome = await caller.ask("first/m", value=asking(**fields), whole=whole)
    assert isinstance(outcome.error, errors.UnsupportedParameter)
    assert outcome.error.parameter == next(iter(fields))
    assert "has a price" in str(outcome.error)
    assert (first.requests, outcome.steps) == ([], [])


async def test_passthrough_chooses_no_other_model(serve, first):
    caller = await serve(first.settings("first", passthrough=True, models=PRICED))
    outcome = await caller.ask("first/m", value=asking(models=["dear/model"]))
    assert isinstance(outcome.error, errors.UnsupportedParameter)
    assert first.requests == []


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("fields", "answered", "prices"),
    [
        ({"service_tier": "priority"}, None, PRIORITY),
        ({"service_tier": "priority"}, "priority", PRIORITY),
        ({"service_tier": "priority"}, "default", USUAL),
        ({"speed": "fast"}, None, FAST),
        ({}, "priority", PRIORITY),
        ({}, "default", USUAL),
        ({}, 7, USUAL),
    ],
)
async def test_a_tier_with_a_price_is_asked_for_and_billed_as_answered(serve, first, fields, answered, prices, whole):
    caller = await serve(first.settings("first", models=PRICED))
    first.enqueue(Answer(more={} if answered is None else {"service_tier": answered}))
    outcome = await caller.ask("first/m", value=asking(**fields) if fields else QUESTION, whole=whole)
    assert fields.items() <= first.requests[0].body.items()
    finished = outcome.answer.finished
    assert finished.unit_prices == prices
    # Seven tokens asked, four answered.
    assert finished.cost_nano_usd == 7 * prices.input_nano_usd // 10**6 + 4 * prices.output_nano_usd // 10**6


async def test_the_candidate_that_has_a_price_is_asked(serve, first, second):
    caller = await serve(first.settings("first"), second.settings("second", models=PRICED))
    outcome = await caller.ask("first/m", "second/m", value=asking(service_tier="priority"))
    assert outcome.outcomes == ["second answered"]
    assert outcome.answer.started.unit_prices == PRIORITY
    assert first.requests == []


def unpriced(service):
    collector = service.collectors[0]
    return {
        (sample.labels["upstream"], sample.labels["model"]): sample.value
        for family in collector.collect() for sample in family.samples
        if sample.name == "penstock_answers_without_a_price_total"
    }  # fmt: skip


async def test_a_tier_of_the_answer_that_has_no_price_is_counted_and_billed_as_asked(serve, first):
    caller = await serve(first.settings("first", models=PRICED))
    first.enqueue(*[Answer(more={"service_tier": "scale"})] * 3)
    for value, prices in ((QUESTION, USUAL), (asking(service_tier="priority"), PRIORITY), (QUESTION, USUAL)):
        assert (await caller.ask("first/m", value=value)).answer.finished.unit_prices == prices
    assert unpriced(serve.service) == {("first", "m"): 3}


async def test_who_leaves_owes_the_price_of_the_tier_that_was_asked_for(serve, first):
    caller = await serve(first.settings("first", models=PRICED))
    first.enqueue(NoResponse())
    steps = []
    call = caller.call("first/m", value=asking(service_tier="priority"), steps=steps)
    reading = asyncio.ensure_future(anext(aiter(call)))
    await first.next_request()
    reading.cancel()
    await asyncio.wait([reading])
    await call.aclose()
    assert steps[0].attributes["input_nano_usd"] == PRIORITY.input_nano_usd
    assert steps[0].attributes["owed_input_tokens"] > 0

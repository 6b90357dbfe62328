"""What models cost, from when on: noted where it changed, whoever notes it. On both engines."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from penstock_common.configuration import Configuration
from penstock_common.llm.types import UnitPrices
from penstock_gateway.adapters.sql.prices import SqlPriceHistory
from penstock_gateway.domain.ledger.prices import Offer, current, revision_of
from penstock_gateway.price_settings import offers_of
from penstock_gateway.settings import Settings

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def offer(dollars, model="m1", **fields):
    return Offer("first", model, UnitPrices(input_nano_usd=dollars * 10**9), **fields)


async def test_only_what_changes_is_noted_and_a_price_that_comes_back_has_its_name_again(database):
    history = SqlPriceHistory(database)
    assert await history.note([offer(1), offer(5, "m2")], NOW) == 2
    assert await history.note([offer(1), offer(5, "m2")], NOW + DAY) == 0
    assert await history.note([offer(2), offer(5, "m2")], NOW + 2 * DAY) == 1
    assert await history.note([offer(1), offer(5, "m2")], NOW + 3 * DAY) == 1
    revisions = await history.revisions()
    first = [
        (one.offer.prices.input_nano_usd // 10**9, one.effective_at) for one in revisions if one.offer.model == "m1"
    ]
    assert first == [(1, NOW), (2, NOW + 2 * DAY), (1, NOW + 3 * DAY)]
    names = [one.revision for one in revisions if one.offer.model == "m1"]
    assert names[0] == names[2] != names[1]
    assert names[0] == revision_of("first", "m1", UnitPrices(input_nano_usd=10**9))
    assert [one.effective_at for one in current(revisions) if one.offer.model == "m1"] == [NOW + 3 * DAY]


async def test_tiers_and_steps_of_a_model_have_prices_of_their_own(database):
    history = SqlPriceHistory(database)
    offers = [offer(1), offer(2, tier="priority"), offer(3, above_input_tokens=272_000)]
    assert (await history.note(offers, NOW), await history.note(offers, NOW + DAY)) == (3, 0)
    assert len(current(await history.revisions())) == 3


async def test_processes_that_note_at_once_tell_each_change_once(database):
    histories = [SqlPriceHistory(database) for _ in range(4)]
    await asyncio.gather(*(history.note([offer(1), offer(5, "m2")], NOW) for history in histories))
    assert len(await histories[0].revisions()) == 2


def test_configuration_says_what_is_offered():
    price = {"input": 1, "output": 2, "steps": [{"above_input_tokens": 100, "input": 3}]}
    document = {
        "upstreams": [
            {
                "name": "first",
                "api_key": "${file:/nowhere}",
                "provider": "openai",
                "models": [
                    {"name": "m1", "context_window": 8, "price": price, "service_tiers": {"priority": {"input": 9}}},
                    {"name": "m2", "context_window": 8},
                ],
            }
        ],
    }
    settings = Configuration(document).settings(Settings)
    told = [(one.model, one.tier, one.above_input_tokens, one.prices) for one in offers_of(settings.upstreams)]
    usd = 10**9
    assert told == [
        ("m1", "", 0, UnitPrices(usd, usd, 2 * usd)),
        ("m1", "", 100, UnitPrices(3 * usd, 3 * usd, 2 * usd)),
        ("m1", "priority", 0, UnitPrices(9 * usd, 9 * usd, 0)),
        ("m2", "", 0, UnitPrices(is_unknown=True)),
    ]

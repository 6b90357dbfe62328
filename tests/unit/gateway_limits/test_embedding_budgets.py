"""Requests for vectors, and what binds them: paid for before they are made, for all that they can cost."""

from __future__ import annotations

import random
import time
from array import array
from datetime import timedelta

import pytest

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse, TextVector
from penstock_common.errors import ModelNotPermitted, QuotaExhausted
from penstock_common.llm.types import ModelInfo, UnitPrices
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.embeddings import EmbeddingLife
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.limits.needs import Needs, NeedTerms
from penstock_gateway.tenant_settings import TierSettings

PRICES = UnitPrices(input_nano_usd=1_000_000_000)
"""1,000 nano-dollars a token."""
TOKENS = 4


class World:
    """The embedding service, the ledger and the observer."""

    def __init__(self):
        self.rows, self.prices, self.listed = [], PRICES, 0

    async def models(self):
        self.listed += 1
        return (ModelInfo(name="e", prices=self.prices),)

    async def embed(self, request, steps):
        return EmbedResponse([TextVector(array("f", [1.0]), False)], "e", "r", "u", TOKENS, self.prices or UnitPrices())

    def append(self, row):
        self.rows.append(row)

    def check_room(self):
        pass

    def ended(self, exchange):
        pass


@pytest.fixture
def world():
    return World()


@pytest.fixture
def ask(world):
    door, traces = Door(Capacity(requests=10), Refusals(600)), TraceStarter(0, random.Random(1))
    limiter = InMemoryLimiter()

    async def embed(text="hello world", *, needs=None, **tier):
        made[0] = made[0] or EmbeddingLife(
            VisitParts(limiter=limiter, ledger=world, observer=world, needs=needs or Needs()), world
        )
        caller = Caller(Tenant("t", Tier("own", rules=TierSettings(**tier).rules())), "k", frozenset())
        order = EmbeddingOrder(
            request_id="r", generation_id=f"g{len(world.rows)}", surface="openai", tenant="t", key_id="k",
            timeout=timedelta(seconds=60), input=EmbedRequest((text,), "e"),
        )  # fmt: skip
        call = Call(order, caller, door.enter(caller), traces.start(""), Steps(), time.time_ns())
        async with made[0].begin(call) as exchange:
            await exchange.embed()
        return exchange

    made = [None]
    embed.limiter = limiter
    return embed


async def test_vectors_are_paid_for_until_the_budget_ends(ask, world):
    # Each is estimated at 3 tokens and a quarter more, and billed for 4.
    answered = 0
    with pytest.raises(QuotaExhausted):
        while answered < 100:
            await ask(spend_per_month="0.00002")
            answered += 1
    assert answered == 20_000 // (TOKENS * 1_000)
    assert sum(row.cost_nano_usd for row in world.rows) == 20_000
    assert ask.limiter.outstanding() == []
    assert world.listed == 1


async def test_without_a_budget_nobody_asks_for_prices(ask, world):
    exchange = await ask(requests_per_minute=10, tokens_per_minute=100)
    assert world.listed == 0
    # 3 are taken at first, and 4 settled.
    assert [standing.remaining for standing in exchange.standings] == [9, 97]


async def test_a_model_without_a_price_is_refused_where_a_budget_binds(ask, world):
    world.prices = None
    with pytest.raises(ModelNotPermitted, match=r"admission\.unknown_price"):
        await ask(spend_per_month="1")
    assert world.rows == []


async def test_unless_the_operator_allows_it(ask, world):
    world.prices = None
    await ask(spend_per_month="1", needs=Needs(NeedTerms(allows_unknown_prices=True)))
    assert len(world.rows) == 1


async def test_a_shadow_refuses_no_model_without_a_price(ask, world):
    world.prices = None
    await ask(shadow={"spend_per_month": "1"})
    assert len(world.rows) == 1

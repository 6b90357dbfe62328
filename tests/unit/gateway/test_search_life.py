"""The life of a search: in however many words, one request, which leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from typing import Any

import pytest

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.knowledge import Chunk, Hit, SearchedIndex, SearchOptions, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest, SearchResponse
from penstock_common.errors import QuotaExhausted, ResourceNotFound
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.domain.access.identity import OPERATORS, Caller, Tenant, Tier
from penstock_gateway.domain.knowledge_use.signals import RetrievalSignals
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.life.search import SEARCHED, SearchLife
from penstock_gateway.domain.limits.needs import Needs
from penstock_gateway.tenant_settings import TierSettings

OPERATOR = Caller(OPERATORS, "k", frozenset())
INDEX = SearchedIndex(knowledge_base="k", version=2, model="m", model_revision="r", generation=1)


class World:
    """Every port at once."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.signals: list[Any] = []

    async def search(self, request: SearchRequest, steps: Any) -> SearchResponse:
        self.asked.append(request.query)
        if request.query == "unknown":
            raise ResourceNotFound("There is no knowledge base 'k'.", kind="knowledge base", name="k")
        if request.query == "slow":
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append(request.query)
        return SearchResponse(
            SearchResult(hits=[hit("b", 0.2), hit("a", 0.9)], searched=[INDEX], query_tokens=3, query_cost_nano_usd=7)
        )

    def append(self, row: Any) -> None:
        self.rows.append(row)

    def check_room(self) -> None: ...


class Observer:
    def __init__(self, world: World) -> None:
        self._world = world

    def ended(self, exchange: Any) -> None:
        self._world.signals.append(exchange.retrieval)

    def turned_away(self, surface: str, error: BaseException) -> None: ...


def hit(chunk: str, score: float) -> Hit:
    made = Chunk(id=chunk, document="d", document_version=1, ordinal=0, text="t", start=0, end=1)
    return Hit(chunk=made, knowledge_base="k", score=score)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def begin(world: World) -> Any:
    door = Door(Capacity(requests=10), Refusals(600))

    limiter = InMemoryLimiter()
    needs = Needs()

    def make(*queries: str, caller: Caller = OPERATOR) -> Any:
        order = EmbeddingOrder(
            request_id="r",
            generation_id=f"g{len(world.rows)}",
            surface="openai",
            tenant="t",
            key_id="k",
            timeout=timedelta(seconds=60),
            input=EmbedRequest(queries, SEARCHED),
        )
        traces = TraceStarter(0, random.Random(1))
        call = Call(order, caller, door.enter(caller), traces.start(""), Steps(), time.time_ns())
        visits: Any = VisitParts(limiter=limiter, ledger=world, observer=Observer(world), needs=needs)
        knowledge: Any = world
        options = SearchOptions(limit=1)
        requests = [SearchRequest(tenant="t", bases=["k"], query=query, options=options) for query in queries]
        return SearchLife(visits, knowledge).begin(call, requests)

    return make


async def test_one_query_has_its_hits_in_the_order_of_the_search(begin: Any, world: World) -> None:
    async with begin("red") as exchange:
        found = await exchange.search()
    # Hits that differ from one another come before hits that score better.
    assert [one.chunk.id for one in found.hits] == ["b", "a"]
    (row,) = world.rows
    assert (row.outcome, row.upstream, row.model, row.usage.input_tokens, row.attempts) == ("ok", SEARCHED, "m", 3, 1)
    assert row.cost_nano_usd == 7
    assert world.signals == [RetrievalSignals("search", "found")]


async def test_several_queries_are_one_row_of_the_ledger(begin: Any, world: World) -> None:
    async with begin("red", "blue") as exchange:
        found = await exchange.search()
    assert [one.chunk.id for one in found.hits] == ["a"]
    (row,) = world.rows
    assert (world.asked, row.usage.input_tokens, row.attempts) == (["red", "blue"], 6, 1)
    assert row.cost_nano_usd == 14


async def test_a_query_that_fails_ends_the_others_before_the_request_is_settled(begin: Any, world: World) -> None:
    with pytest.raises(ResourceNotFound):
        async with begin("slow", "unknown") as exchange:
            await exchange.search()
    assert world.ended == ["slow"]
    assert [row.outcome for row in world.rows] == ["resource_not_found"]


async def test_a_spent_budget_refuses_a_search_whose_price_is_known(begin: Any, world: World) -> None:
    rules = TierSettings(spend_per_month="0.00000001").rules()
    caller = Caller(Tenant("t", Tier("own", rules=rules)), "k", frozenset())
    async with begin("red", caller=caller) as exchange:
        await exchange.search()
    for _ in range(2):
        with pytest.raises(QuotaExhausted):
            async with begin("red", caller=caller) as exchange:
                await exchange.search()
    assert world.asked == ["red"]
    assert [row.cost_nano_usd for row in world.rows] == [7]

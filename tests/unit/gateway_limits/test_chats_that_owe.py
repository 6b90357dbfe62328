"""Chats that owe for something before their answer: a search, or a model that failed. No budget and no row forgets it."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
import pytest

from penstock_common.contract.cache import LookupResponse
from penstock_common.contract.knowledge import SearchedIndex, SearchResult
from penstock_common.contract.knowledge_calls import SearchResponse
from penstock_common.errors import NoHealthyUpstream, NothingRelevant, PenstockError, QuotaExhausted, UpstreamFailed
from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationInput,
    Message,
    Plan,
    Role,
    Started,
    Text,
    TextDelta,
    UnitPrices,
    Usage,
)
from penstock_common.telemetry.steps import Step, Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.domain.life.chat import ChatLife, LifeParts
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.ladder import NO_LADDERS, Ladder, Ladders, SmallerModel, Template
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.life.retrieval import Retrieval
from penstock_gateway.domain.limits.needs import Needs, NeedTerms
from penstock_gateway.tenant_settings import TierSettings

PRICES = UnitPrices(output_nano_usd=1_000_000_000)
"""1,000 nano-dollars a token of output."""
SEARCH = 5_000
MODEL = Candidate(upstream="up", model="m")


def answer_of(model, tokens=3):
    candidate = Candidate(upstream="up", model=model)
    return (
        (Started(generation_id="theirs", answered_by=candidate, unit_prices=PRICES), TextDelta(text="abc" * tokens)),
        (
            Usage(input_tokens=1, output_tokens=tokens),
            Finished(FinishReason.STOP, candidate, attempts=1, cost_nano_usd=tokens * 1_000, unit_prices=PRICES),
        ),
    )


@dataclass
class World:
    """Every port at once: a search that finds nothing and costs something, and models that answer what they are told to."""

    answers: dict = field(default_factory=lambda: {"m": answer_of("m")})
    owed: dict = field(default_factory=dict)
    """What a failed attempt's step says."""
    search_cost: int = SEARCH
    unrouted: PenstockError | None = None
    searched: int = 0
    rows: list = field(default_factory=list)
    asked: list = field(default_factory=list)

    async def search(self, request, steps):
        self.searched += 1
        index = SearchedIndex(knowledge_base="docs", version=1, model="e", model_revision="r", generation=1)
        return SearchResponse(
            SearchResult(hits=[], searched=[index], query_tokens=5, query_cost_nano_usd=self.search_cost)
        )

    async def look_up(self, request, steps):
        return LookupResponse(generation="g")

    async def route(self, request, steps):
        if self.unrouted is not None:
            raise self.unrouted
        candidate = Candidate(upstream="up", model=request.model)
        return Plan(candidates=(candidate,), reason="by order", route_digest=b"r", prices=(PRICES,))

    async def generate(self, request, steps, timeout=None):
        self.asked.append(request)
        step = Step("attempt", 100, 103, attributes={"upstream": "up", "model": request.input.model})
        steps.append(step)
        written = 0
        try:
            for batch in self.answers[request.input.model]:
                if isinstance(batch, Exception):
                    step.attributes.update(self.owed)
                    raise batch
                yield batch
                written += 10
        except GeneratorExit:
            if self.owed:
                step.attributes.update({**self.owed, "owed_output_tokens": written})
            raise

    async def keep(self, request):
        pass

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
def limiter():
    return InMemoryLimiter()


@pytest.fixture
def begin(world, limiter):
    door, traces = Door(Capacity(requests=10), Refusals(600)), TraceStarter(0, random.Random(1))

    needs = Needs(NeedTerms(first_output_tokens=10))

    def make(tokens, *, knowledge=None, ladders=NO_LADDERS, steps=()):
        """A chat of a tenant who may spend what so many tokens of output cost."""
        parts = LifeParts(
            visits=VisitParts(limiter=limiter, ledger=world, observer=world, needs=needs),
            input_steps=steps, cache=world, router=world, generator=world, ladders=ladders,
            retrieval=Retrieval({}, world),
        )  # fmt: skip
        message = Message(role=Role.USER, parts=(Text(text="What is it?"),))
        order = ChatOrder(
            request_id="r", generation_id=f"g{len(world.rows)}", surface="openai", tenant="t", key_id="k",
            timeout=timedelta(seconds=60), input=GenerationInput(model="m", messages=(message,)), knowledge=knowledge,
        )  # fmt: skip
        rules = TierSettings(spend_per_month=str(tokens / 1_000_000)).rules()
        caller = Caller(Tenant("t", Tier("own", rules=rules)), "k", frozenset())
        return ChatLife(parts).begin(Call(order, caller, door.enter(caller), traces.start(""), Steps(), time.time_ns()))

    return make


async def answered(exchange):
    async with exchange:
        return await exchange.answer()


async def spent(limiter, exchange):
    (standing,) = await limiter.standings([standing.limit for standing in exchange.standings])
    assert standing.reserved == 0
    return standing.spent


def searching(**use):
    return KnowledgeUse(bases=("docs",), **use)


async def test_a_search_is_paid_for_where_the_chat_cannot_be_routed_after_it(begin, world, limiter):
    world.unrouted = NoHealthyUpstream("None.")
    exchange = begin(1_000, knowledge=searching())
    with pytest.raises(NoHealthyUpstream):
        await answered(exchange)
    assert [row.cost_nano_usd for row in world.rows] == [SEARCH]
    assert await spent(limiter, exchange) == SEARCH


async def test_what_cost_nothing_is_given_back_where_the_chat_cannot_be_routed(begin, world, limiter):
    world.unrouted = NoHealthyUpstream("None.")
    exchange = begin(1_000)
    with pytest.raises(NoHealthyUpstream):
        await answered(exchange)
    assert await spent(limiter, exchange) == 0


async def test_a_search_is_paid_for_where_the_budget_refuses_the_answer_after_it(begin, world, limiter):
    exchange = begin(30, knowledge=searching())
    with pytest.raises(PenstockError) as refused:
        await answered(exchange)
    assert "budget" in type(refused.value).__name__.lower()
    assert [row.cost_nano_usd for row in world.rows] == [SEARCH]
    assert await spent(limiter, exchange) == SEARCH


async def test_a_search_is_paid_for_where_nothing_relevant_is_found(begin, world, limiter):
    exchange = begin(1_000, knowledge=searching(when_nothing="refuse"))
    with pytest.raises(NothingRelevant):
        await answered(exchange)
    assert [row.cost_nano_usd for row in world.rows] == [SEARCH]
    assert await spent(limiter, exchange) == SEARCH


class Longer:
    """Puts much before the question."""

    name = "longer"

    async def apply(self, request, call):
        more = Message(role=Role.SYSTEM, parts=(Text(text="word " * 400),))
        return msgspec.structs.replace(request, messages=(more, *request.messages))


async def test_an_answer_that_a_budget_ends_is_billed_for_what_its_model_was_sent(begin, world):
    started, _ = answer_of("m", 20)[0]
    world.answers["m"] = ((started, TextDelta(text="abc" * 20)), (TextDelta(text="abc" * 2_000),))
    exchange = begin(300, steps=(Longer(),))
    finished = (await answered(exchange)).finished
    assert finished.stopped_by == "budget"
    (row,) = world.rows
    assert row.usage.input_tokens == estimated_input_tokens(world.asked[0].input) > 400


DOWN = UpstreamFailed("It is down.", upstream="up")
FAILED = {
    "owed_input_tokens": 0, "owed_output_tokens": 40, "owed_cached_input_tokens": 0,
    "input_nano_usd": 0, "cached_input_nano_usd": 0, "output_nano_usd": PRICES.output_nano_usd,
}  # fmt: skip
"""An attempt that is owed 40,000 nano-dollars."""


def standing_in(*rungs):
    return Ladders({"m": Ladder.of(*rungs, reserve=timedelta())})


@pytest.mark.parametrize(
    ("rung", "cost"),
    [(SmallerModel("small"), 43_000), (Template({"general": "Sorry."}), 40_000)],
    ids=["model", "text"],
)
async def test_what_the_first_model_is_owed_is_billed_with_what_stood_in(begin, world, limiter, rung, cost):
    world.answers, world.owed = {"m": (DOWN,), "small": answer_of("small")}, FAILED
    exchange = begin(1_000, ladders=standing_in(rung))
    await answered(exchange)
    assert [(row.outcome, row.cost_nano_usd) for row in world.rows] == [("ok", cost)]
    assert await spent(limiter, exchange) == cost


async def test_what_stands_in_is_metered_beside_what_the_first_model_is_owed(begin, world, limiter):
    started, _ = answer_of("small")[0]
    endless = ((started,), *((TextDelta(text="abc" * 10),) for _ in range(100)))
    world.answers, world.owed = {"m": (DOWN,), "small": endless}, {**FAILED, "owed_output_tokens": 200}
    exchange = begin(600, ladders=standing_in(SmallerModel("small")))
    assert (await answered(exchange)).finished.stopped_by == "budget"
    (row,) = world.rows
    assert 200_000 < row.cost_nano_usd <= 600_000
    assert await spent(limiter, exchange) == row.cost_nano_usd


async def test_an_answer_is_metered_beside_what_the_search_has_cost(begin, world, limiter):
    started, _ = answer_of("m")[0]
    world.answers = {"m": ((started,), *((TextDelta(text="abc" * 10),) for _ in range(100)))}
    world.search_cost = 200_000
    exchange = begin(600, knowledge=searching())
    assert (await answered(exchange)).finished.stopped_by == "budget"
    (row,) = world.rows
    assert 200_000 < row.cost_nano_usd <= 600_000


async def test_a_spent_budget_refuses_a_chats_search_whose_price_is_known(begin, world, limiter):
    for _ in range(3):
        exchange = begin(8, knowledge=searching())
        with pytest.raises(QuotaExhausted):
            await answered(exchange)
    assert world.searched == 1
    assert [row.cost_nano_usd for row in world.rows] == [SEARCH]
    assert await spent(limiter, exchange) == SEARCH

"""The life of a request over ports that only note what they were asked: order, and exactly once."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from penstock_common.errors import InternalError, Overloaded, RateLimited
from penstock_common.llm.types import Candidate, Finished, FinishReason, Plan, Started, TextDelta, Usage
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.limits_in_memory import InMemoryLimiter
from penstock_gateway.domain.life.admission import Door
from penstock_gateway.domain.life.order import ChatCall
from penstock_gateway.domain.life.chat import ChatLife, LifeParts
from penstock_gateway.domain.life.guards import OpenGuard
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.life.ports import CacheLookup, Routed
from penstock_gateway.domain.life.exchange import VisitParts

CANDIDATE = Candidate(upstream="first", model="m")
ANSWER = (
    Started(generation_id="theirs", answered_by=CANDIDATE),
    TextDelta(text="Hi"),
    Usage(input_tokens=1, output_tokens=1),
    Finished(reason=FinishReason.STOP, answered_by=CANDIDATE, attempts=1),
)


@dataclass
class World:
    """Every port at once; ``happened`` is what was asked of it, in order."""

    happened: list[str] = field(default_factory=list)
    rows: list = field(default_factory=list)
    ended_exchanges: list = field(default_factory=list)
    has_room: bool = True
    closing_fails: bool = False

    async def look_up(self, tenant, request, max_age):
        return CacheLookup()

    async def store(self, tenant, request, events, ttl):
        self.happened.append("stored")

    async def route(self, request, allowed_regions):
        return Routed(Plan(candidates=(CANDIDATE,)))

    @asynccontextmanager
    async def generate(self, request, plan, steps):
        try:
            yield self._events()
        finally:
            self.happened.append("upstream ended")
            if self.closing_fails:
                raise InternalError

    async def _events(self):
        for event in ANSWER:
            yield event

    def append(self, row):
        self.happened.append("billed")
        self.rows.append(row)

    def check_room(self):
        if not self.has_room:
            raise Overloaded("full")

    def ended(self, exchange):
        self.ended_exchanges.append(exchange)

    def turned_away(self, surface, error):
        raise AssertionError("an exchange never turns away")


@pytest.fixture
def world():
    return World()


@pytest.fixture
def door():
    return Door(10)


@pytest.fixture
def begin(world, door, ask):
    tasks = []
    parts = LifeParts(
        visits=VisitParts(door=door, limiter=InMemoryLimiter(), ledger=world, observer=world),
        guard=OpenGuard(),
        cache=world,
        router=world,
        generator=world,
        in_background=lambda work: tasks.append(asyncio.ensure_future(work)),
    )
    life = ChatLife(parts)
    caller = Caller(Tenant("t", Tier("own", requests_per_minute=2, concurrent_requests=1)), "k", frozenset())
    traces = TraceStarter(0, random.Random(1))

    def make(**parts):
        call = ChatCall(
            request_id="r",
            generation_id="ours",
            surface="openai",
            caller=caller,
            input=ask(**parts),
            timeout=timedelta(seconds=60),
            trace=traces.start(""),
            steps=Steps(),
            started_ns=time.time_ns(),
        )
        return life.begin(call)

    return make


async def test_whole_answer_is_billed_after_its_upstream_ended_and_then_kept(begin, world, door):
    exchange = begin()
    async with exchange:
        assert door.in_flight == 1
        events = [event async for event in exchange.events()]
    await asyncio.sleep(0)
    assert world.happened == ["upstream ended", "billed", "stored"]
    assert events[0].generation_id == "ours"
    assert door.in_flight == 0
    assert world.rows[0].outcome == "ok"


async def test_reader_that_fails_ends_the_upstream_before_the_bill_is_written(begin, world, door):
    exchange = begin()
    with pytest.raises(ZeroDivisionError):
        async with exchange:
            async for _ in exchange.events():
                raise ZeroDivisionError
    assert world.happened == ["upstream ended", "billed"]
    assert world.rows[0].outcome == "internal_error"
    assert door.in_flight == 0


async def test_bill_is_written_once_even_when_the_upstream_fails_to_close(begin, world, door):
    world.closing_fails = True
    exchange = begin()
    with pytest.raises(InternalError):
        async with exchange:
            async for _ in exchange.events():
                break
    assert world.happened == ["upstream ended", "billed"]
    assert len(world.ended_exchanges) == 1
    assert door.in_flight == 0


async def test_exchange_that_nobody_reads_is_billed_nothing(begin, world):
    async with begin():
        pass
    (row,) = world.rows
    assert (row.cost_nano_usd, row.upstream, row.time_to_first_token_ms) == (0, "", None)


async def test_ledger_without_room_refuses_before_anything_is_reserved(begin, world, door):
    world.has_room = False
    with pytest.raises(Overloaded):
        async with begin():
            pass
    assert (world.rows, door.in_flight) == ([], 0)
    world.has_room = True
    for _ in range(2):
        async with begin():
            pass


async def test_place_is_given_back_before_the_next_asks_and_refusals_are_not_billed(begin, world):
    for _ in range(2):
        async with begin():
            pass
    with pytest.raises(RateLimited):
        async with begin():
            pass
    assert len(world.rows) == 2
    assert [ended.row.outcome for ended in world.ended_exchanges] == ["ok", "ok", "rate_limited"]
    # Callers choose names; only those that have a plan are models.
    assert [ended.public_model for ended in world.ended_exchanges] == ["fast", "fast", ""]

"""Who was answered is billed for it, whatever rules do with the answer; and a rotated key keeps its rules."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline_world import settings_of
from test_descent import DOWN, SMALL, answer_of
from test_descent import World as Stranded
from test_exchange import ENDING, STARTED, InMemoryLimiter, World, served

from penstock_common.contract.cache import Hit
from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.owed import Owed
from penstock_common.llm.types import GenerationInput, Message, Role, Text, TextDelta, UnitPrices, Usage
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.app.guard_rules import Asked
from penstock_gateway.app.guardrails import pipelines_of
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.guardrails.pipeline.guarding import GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Memo
from penstock_gateway.domain.guardrails.pipeline.rails import Rails
from penstock_gateway.domain.guardrails.pipeline.rule import WHOLE, Found, Runs, Surface
from penstock_gateway.domain.life.chat import ChatExchange, ChatLife, LifeParts
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.ladder import Ladder, Ladders
from penstock_gateway.domain.life.order import CacheControl, Call, ChatOrder
from penstock_gateway.domain.life.pace import Pace
from penstock_gateway.domain.life.refusals import Refusals

ELSEWHERE = {
    "mod": {"kind": "moderation", "url": "http://127.0.0.1:1/x", "on_failure": "closed", "surfaces": ["output"]}
}


class Looks:
    """Is a rule's look at an answer: it says that it has begun, and waits; it finds something in those ``before``."""

    runs = Runs.REMOTE
    hold = WHOLE

    def __init__(self, before: int = 0) -> None:
        self.begun, self._before = asyncio.Event(), before

    async def find(self, text: str, surface: Surface) -> Sequence[Found]:
        if self._before:
            self._before -= 1
            return [Found("bad", 0, 1)]
        self.begun.set()
        await asyncio.Event().wait()
        return ()


def rails_of(rules: dict[str, Any], **pipeline: Any) -> Rails:
    return Rails(pipelines_of(settings_of(rules, pipelines=[pipeline]), Asked(is_offline=True)))


def begin(world: Any, rails: Rails, caller: Caller | None = None, retries: int = 1, **more: Any) -> ChatExchange:
    visits = VisitParts(limiter=InMemoryLimiter(), ledger=world, observer=world)
    guarding = GuardParts(Threads(2, 4), b"s" * 32, Memo(), None, retries=retries)
    life = ChatLife(LifeParts(visits=visits, input_steps=(), cache=world, router=world, generator=world, rails=rails, guarding=guarding, **more))  # fmt: skip
    asked = GenerationInput(model="m", messages=(Message(role=Role.USER, parts=(Text(text="hi there you"),)),))
    order = ChatOrder(
        request_id="r", generation_id="ours", surface="openai", tenant="t", key_id="k", timeout=timedelta(seconds=60),
        input=asked, whole=False, cache_control=CacheControl(),
    )  # fmt: skip
    caller = caller or Caller(Tenant("t", Tier("own")), "k", frozenset())
    door = Door(Capacity(requests=10), Refusals(600))
    trace = TraceStarter(0, random.Random(1)).start("")
    return life.begin(Call(order, caller, door.enter(caller), trace, Steps(), time.time_ns()))


async def cost_of_a_refusal() -> int:
    world = World()
    await served(begin(world, rails_of({"x": {"kind": "words", "deny": ["Hi"], "action": "refuse"}}, output=["x"])))
    (row,) = world.rows
    assert row.cost_nano_usd > 0
    return row.cost_nano_usd


async def test_an_answer_that_a_rule_cannot_judge_is_billed():
    world = World()
    with pytest.raises(ServiceUnavailable):
        await served(begin(world, rails_of(ELSEWHERE, output=["mod"])))
    (row,) = world.rows
    assert row.cost_nano_usd == await cost_of_a_refusal()
    assert (row.outcome, row.finish_reason, row.attempts) == ("guardrail_unavailable", "", 1)
    assert row.upstream


async def test_who_leaves_while_a_rule_looks_is_billed_for_what_was_generated():
    world, look, rails = World(), Looks(), rails_of(ELSEWHERE, output=["mod"])
    (pipeline,) = rails.pipelines
    slow = msgspec.structs.replace(pipeline.output[0], look=look, timeout=40)
    rails.take_over([msgspec.structs.replace(pipeline, output=(slow,))])
    task = asyncio.ensure_future(served(begin(world, rails)))
    async with asyncio.timeout(10):
        await look.begun.wait()
    task.cancel()
    await asyncio.wait((task,))
    (row,) = world.rows
    assert row.outcome == "cancelled"
    assert row.cost_nano_usd == await cost_of_a_refusal()


def test_rules_of_a_key_hold_for_the_key_that_came_after_it():
    rails = rails_of({"x": {"kind": "words", "deny": ["Hi"]}}, keys=["first"], input=["x"])
    assert rails.held("t", "m", "first", "first") is not None
    assert rails.held("t", "m", "second", "first") is not None
    assert rails.held("t", "m", "second", "second") is None


async def test_a_request_of_a_rotated_key_passes_the_rules_of_the_first():
    rails = rails_of({"x": {"kind": "words", "deny": ["there"], "action": "redact"}}, keys=["first"], input=["x"])
    rotated = Caller(Tenant("t", Tier("own")), "second", frozenset(), first_key_id="first")
    exchange = begin(World(), rails, rotated)
    await served(exchange)
    assert exchange.guarding is not None


PRICES = UnitPrices(output_nano_usd=7_000_000)
PRICED = (ENDING[0], msgspec.structs.replace(ENDING[1], unit_prices=PRICES))


class OtherAnswers(World):
    """Gives another answer each time, at its price."""

    def generate(self, request: Any, steps: Any, timeout: float | None = None) -> Any:
        self.batches = ((STARTED, TextDelta(text=f"Hi {len(self.asked)}")), PRICED)
        return super().generate(request, steps, timeout)


async def begun_look(before: int) -> tuple[World, asyncio.Task[None]]:
    """Return a request at whose answer a rule looks that may have it asked for again."""
    world, look = OtherAnswers(), Looks(before)
    rule = {"kind": "moderation", "url": "http://127.0.0.1:1/x", "action": "retry"}
    rails = rails_of({"mod": rule}, output=["mod"])
    (pipeline,) = rails.pipelines
    slow = msgspec.structs.replace(pipeline.output[0], look=look, timeout=40)
    rails.take_over([msgspec.structs.replace(pipeline, output=(slow,))])
    task = asyncio.ensure_future(served(begin(world, rails, retries=2)))
    async with asyncio.timeout(10):
        await look.begun.wait()
    return world, task


@pytest.mark.parametrize("before", [0, 1])
async def test_who_leaves_while_a_rule_looks_whether_to_ask_again_is_billed_too(before):
    world, task = await begun_look(before)
    task.cancel()
    await asyncio.wait((task,))
    (row,) = world.rows
    assert (row.outcome, row.attempts, row.upstream) == ("cancelled", 1 + before, "first")
    assert row.cost_nano_usd == (1 + before) * await cost_of_a_refusal()


async def test_where_another_models_answer_is_refused_the_one_that_failed_is_owed_its_own():
    answer = answer_of("small", "Hello")
    cost = answer[-1][-1].cost_nano_usd
    world = Stranded(answers={"m": (DOWN,), "small": answer})
    owed = Owed(Usage(input_tokens=5), UnitPrices(input_nano_usd=1_000_000))

    def fail() -> None:
        world.owed = {}

    world.owed, world.on_failure = owed.told(), fail
    rails = rails_of({"short": {"kind": "length", "most_characters": 1}}, output=["short"])
    await served(begin(world, rails, ladders=Ladders({"m": Ladder.of(SMALL)})))
    (row,) = world.rows
    assert (row.stopped_by, row.attempts) == ("guardrail", 2)
    assert row.cost_nano_usd == owed.cost_nano_usd + cost


async def test_a_kept_answer_that_is_refused_in_the_middle_costs_nothing_and_is_told_so():
    world = World(hit=Hit(events=(STARTED, TextDelta(text="Hi " * 100 + "zeus " * 100), *ENDING), created_at=1.0))
    rails = rails_of({"x": {"kind": "words", "deny": ["zeus"], "action": "refuse"}}, output=["x"])
    events = await served(begin(world, rails, pace=Pace(100_000.0)))
    assert (events[-1].stopped_by, events[-1].cost_nano_usd, events[-1].attempts) == ("guardrail", 0, 0)
    (row,) = world.rows
    assert (row.stopped_by, row.cost_nano_usd, row.attempts) == ("guardrail", 0, 0)

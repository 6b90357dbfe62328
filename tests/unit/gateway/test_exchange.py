"""The life of a request over ports that only note what they were asked: order, and exactly once."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
import pytest

from penstock.gateway.v1 import embedding_service_pb2 as pb
from penstock_common.contract.cache import Hit, LookupRequest, LookupResponse, probe_of
from penstock_common.errors import ContentRefused, DeadlineExceeded, InternalError, Overloaded, RateLimited
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    Image,
    Message,
    Plan,
    RequestContext,
    Role,
    Started,
    Text,
    TextDelta,
    UnitPrices,
    Usage,
)
from penstock_common.rpc.scope import CURRENT_SCOPE, NOBODY
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.life import exchange as exchange_module
from penstock_gateway.domain.life.chat import ChatLife, LifeParts
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.order import CacheControl, Call, ChatOrder, EmbeddingOrder
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.surfaces.grpc.embedding_messages import EMBED
from penstock_gateway.tenant_settings import TierSettings

CANDIDATE = Candidate(upstream="first", model="m")
OTHER = Candidate(upstream="second", model="m")
STARTED = Started(generation_id="theirs", answered_by=CANDIDATE, unit_prices=UnitPrices(output_nano_usd=1_000_000))
ENDING = (
    Usage(input_tokens=1, output_tokens=1),
    Finished(reason=FinishReason.STOP, answered_by=CANDIDATE, attempts=1, cost_nano_usd=7),
)
BATCHES = ((STARTED, TextDelta(text="Hi")), ENDING)


@dataclass
class World:
    """Every port at once; ``happened`` is what was asked of it, in order."""

    happened: list[str] = field(default_factory=list)
    rows: list = field(default_factory=list)
    ended_exchanges: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    batches: tuple = BATCHES
    hit: Hit | None = None
    generation: str = "g"
    has_room: bool = True
    closing_fails: bool = False
    closing_hangs: bool = False
    raised: BaseException | None = None
    """What the cache's look-up raises."""
    requests_per_minute: int = 3
    pauses: int = 0
    """How often whatever is asked gives the loop up before it answers."""
    routes_never: bool = False
    door: Door = field(default_factory=lambda: Door(Capacity(requests=10), Refusals(600)))

    async def pause(self):
        for _ in range(self.pauses):
            await asyncio.sleep(0)

    async def look_up(self, request, steps):
        self.asked.append(request)
        await self.pause()
        if self.raised is not None:
            raise self.raised
        return LookupResponse(hit=self.hit) if self.hit else LookupResponse(generation=self.generation)

    async def keep(self, request):
        self.happened.append("kept")
        self.kept.append(request)

    async def route(self, request, steps):
        self.asked.append(request)
        await self.pause()
        if self.routes_never:
            await asyncio.Event().wait()
        return Plan(candidates=(CANDIDATE, OTHER), reason="by order", route_digest=b"route")

    def generate(self, request, steps, timeout=None):
        self.asked.append(request)
        return Answering(self)

    def append(self, row):
        # The bill is in hand, and in the ledger, though the place may be given back.
        self.happened.append("billed")
        self.rows.append(row)

    def check_room(self):
        if not self.has_room:
            raise Overloaded("full")

    def ended(self, exchange):
        self.ended_exchanges.append(exchange)

    def turned_away(self, surface, error):
        raise AssertionError("an exchange never turns away")


class Answering:
    def __init__(self, world):
        self._world = world
        self._left = iter(world.batches)
        self._is_open = True

    def __aiter__(self):
        return self

    async def __anext__(self):
        await self._world.pause()
        for batch in self._left:
            if batch == "silence":
                await asyncio.Event().wait()
            return batch
        raise StopAsyncIteration

    async def aclose(self):
        if self._is_open:
            self._is_open = False
            await self._world.pause()
            if self._world.closing_hangs:
                await asyncio.Event().wait()
            self._world.happened.append("upstream ended")
            if self._world.closing_fails:
                raise InternalError


@pytest.fixture
def world():
    return World()


@pytest.fixture
def door(world):
    return world.door


@pytest.fixture
def begin(world, ask):
    traces = TraceStarter(0, random.Random(1))
    limiter = InMemoryLimiter()

    def make(*, steps=(), guards=(), control=None, timeout=60.0, whole=False, **parts):
        life = ChatLife(
            LifeParts(
                visits=VisitParts(limiter=limiter, ledger=world, observer=world),
                input_steps=steps,
                cache=world,
                router=world,
                generator=world,
                guards=guards,
            )
        )
        order = ChatOrder(
            request_id="r",
            generation_id="ours",
            surface="openai",
            tenant="t",
            key_id="k",
            timeout=timedelta(seconds=timeout),
            input=ask(**parts),
            whole=whole,
            cache_control=control or CacheControl(),
        )
        tier = Tier(
            "own", rules=TierSettings(requests_per_minute=world.requests_per_minute, concurrent_requests=1).rules()
        )
        caller = Caller(Tenant("t", tier), "k", frozenset())
        return life.begin(Call(order, caller, world.door.enter(caller), traces.start(""), Steps(), time.time_ns()))

    return make


async def events_of(exchange):
    return [event async for batch in exchange.batches() for event in batch]


async def served(exchange):
    """Serve the exchange as a surface does, and return its events."""
    async with exchange:
        events = await events_of(exchange)
    await exchange.afterwards()
    return events


async def test_whole_answer_is_billed_after_its_upstream_ended_and_then_kept(begin, world, door):
    exchange = begin()
    async with exchange:
        assert door.in_flight == 1
        events = await events_of(exchange)
    await exchange.afterwards()
    assert world.happened == ["upstream ended", "billed", "kept"]
    assert events[0].generation_id == "ours"
    assert [type(event) for event in events] == [Started, TextDelta, Usage, Finished]
    assert door.in_flight == 0
    (row,) = world.rows
    assert (row.outcome, row.cost_nano_usd, row.attempts, row.tenant, row.key_id) == ("ok", 7, 1, "t", "k")


async def test_a_caller_who_does_not_stream_gets_the_same_at_once_and_upstreams_are_told(begin, world):
    exchange = begin(whole=True)
    async with exchange:
        answer = await exchange.answer()
    await exchange.afterwards()
    assert (answer.text, answer.started.generation_id, answer.finished.cost_nano_usd) == ("Hi", "ours", 7)
    assert [asked.whole for asked in world.asked if hasattr(asked, "whole")] == [True]
    assert world.happened == ["upstream ended", "billed", "kept"]
    assert world.rows[0].time_to_first_token_ms is not None


async def test_reader_that_fails_ends_the_upstream_before_the_bill_is_written(begin, world, door):
    exchange = begin()
    with pytest.raises(ZeroDivisionError):
        async with exchange:
            async for _ in exchange.batches():
                raise ZeroDivisionError
    assert world.happened == ["upstream ended", "billed"]
    (row,) = world.rows
    assert row.outcome == "internal_error"
    # What was delivered is owed, at the price of who was answering.
    assert (row.usage.estimated, row.usage.output_tokens, row.cost_nano_usd) == (True, 1, 1)
    assert door.in_flight == 0


async def test_bill_is_written_once_even_when_the_upstream_fails_to_close(begin, world, door):
    world.closing_fails = True
    exchange = begin()
    with pytest.raises(InternalError):
        async with exchange:
            async for _ in exchange.batches():
                break
    assert world.happened == ["upstream ended", "billed"]
    assert len(world.ended_exchanges) == 1
    assert door.in_flight == 0


async def test_a_bill_that_cannot_be_written_holds_no_place(begin, world, door):
    def append(row):
        raise ZeroDivisionError

    world.append = append
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with begin():
                pass
    # The tenant may run one request at once: the second was let in.
    assert door.in_flight == 0


async def test_what_fails_after_an_answer_is_not_the_callers(begin, world):
    async def keep(request):
        raise ZeroDivisionError

    world.keep = keep
    assert len(await served(begin())) == 4
    assert [row.outcome for row in world.rows] == ["ok"]


async def test_exchange_that_nobody_reads_is_billed_nothing(begin, world):
    async with begin():
        pass
    (row,) = world.rows
    assert (row.cost_nano_usd, row.upstream, row.time_to_first_token_ms) == (0, "", None)
    assert world.kept == []


async def test_ledger_without_room_refuses_before_anything_is_reserved(begin, world, door):
    world.has_room = False
    with pytest.raises(Overloaded):
        async with begin():
            pass
    assert (world.rows, door.in_flight) == ([], 0)
    world.has_room = True
    for _ in range(3):
        async with begin():
            pass


async def test_place_is_given_back_before_the_next_asks_and_refusals_are_not_billed(begin, world):
    for _ in range(3):
        async with begin():
            pass
    with pytest.raises(RateLimited):
        async with begin():
            pass
    assert len(world.rows) == 3
    assert [ended.row.outcome for ended in world.ended_exchanges] == ["ok", "ok", "ok", "rate_limited"]
    # Callers choose names; only those that have a plan are models.
    assert [ended.public_model for ended in world.ended_exchanges] == ["fast", "fast", "fast", ""]


@pytest.mark.parametrize("routes_never", [True, False], ids=["while it is prepared", "while it is answered"])
async def test_a_caller_who_leaves_is_billed_once_and_gives_the_place_back(begin, world, door, routes_never):
    world.routes_never = routes_never
    world.batches = (BATCHES[0], "silence")
    reached = asyncio.Event()

    async def request():
        async with (exchange := begin()):
            async for _ in exchange.batches():
                reached.set()

    task = asyncio.create_task(request())
    await (asyncio.sleep(0) if routes_never else reached.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.outcome for row in world.rows] == ["cancelled"]
    assert [ended.row.outcome for ended in world.ended_exchanges] == ["cancelled"]
    assert door.in_flight == 0
    # The tenant may run one request at once, so the next one is let in only where the place is free.
    world.routes_never = False
    async with begin():
        pass


async def test_whatever_it_waits_for_a_request_ends_soon_after_its_deadline(begin, world, door, monkeypatch):
    monkeypatch.setattr(exchange_module, "_SENDING_GRACE_SECONDS", 0.01)
    exchange = begin(timeout=0.01)
    with pytest.raises(DeadlineExceeded):
        async with exchange:
            async for _ in exchange.batches():
                await asyncio.Event().wait()
    assert [row.outcome for row in world.rows] == ["deadline_exceeded"]
    assert door.in_flight == 0
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_request_ends_although_its_upstream_does_not(begin, world, door, monkeypatch):
    """Its time is over, what it waits for is cancelled, and closing that waits for ever as well."""
    monkeypatch.setattr(exchange_module, "_SENDING_GRACE_SECONDS", 0.01)
    world.batches, world.closing_hangs = (BATCHES[0], "silence"), True
    exchange = begin(timeout=0.01)
    async with asyncio.timeout(60):
        with pytest.raises(DeadlineExceeded):
            async with exchange:
                async for _ in exchange.batches():
                    pass
    assert [row.outcome for row in world.rows] == ["deadline_exceeded"]
    assert door.in_flight == 0
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def cancelled_after(turns, begin, world):
    """Begin a request, cancel it after so many turns of the loop, and return whether it had ended by itself."""
    task = asyncio.create_task(served(begin()))
    for _ in range(turns):
        await asyncio.sleep(0)
    has_ended = task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return has_ended


async def test_wherever_a_request_is_cancelled_it_is_settled_once_and_leaves_no_place_taken(begin, world, door):
    world.pauses, world.requests_per_minute = 2, 1000
    for turns in range(1, 200):
        world.rows.clear()
        world.ended_exchanges.clear()
        has_ended = await cancelled_after(turns, begin, world)
        assert door.in_flight == 0, turns
        assert len(world.ended_exchanges) == 1, turns
        # It was admitted in its first turn: there is one bill, whatever became of it.
        assert [row.outcome for row in world.rows] in (["ok"], ["cancelled"]), turns
        if has_ended:
            break
    assert has_ended
    assert turns > 10
    assert [row.outcome for row in world.rows] == ["ok"]


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt(), SystemExit(), MemoryError(), ValueError("x"),
        ExceptionGroup("several", [ValueError("x")]), BaseExceptionGroup("several", [asyncio.CancelledError()]),
        InternalError(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
async def test_whatever_ends_a_request_while_it_is_prepared_settles_it(begin, world, door, error):
    world.raised = error
    with pytest.raises(type(error)) as raised:
        async with begin():
            pass
    assert raised.value is error
    assert door.in_flight == 0
    assert [row.cost_nano_usd for row in world.rows] == [0]
    assert len(world.ended_exchanges) == 1
    # The tenant may run one request at once.
    world.raised = None
    async with begin():
        pass


async def test_a_caller_who_leaves_as_its_time_runs_out_is_one_who_leaves(begin, world, door):
    exchange = begin()

    async def request():
        async with exchange:
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    exchange._expire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.outcome for row in world.rows] == ["cancelled"]
    assert door.in_flight == 0


class Upper:
    """An input step that edits: what is seen further on is its edit, not the caller's words."""

    name = "upper"

    async def apply(self, request, call):
        edited = tuple(
            msgspec.structs.replace(turn, parts=tuple(Text(text=part.text.upper()) for part in turn.parts))
            for turn in request.messages
        )
        return msgspec.structs.replace(request, messages=edited)


async def test_cache_and_models_see_the_effective_input_and_the_callers_stays_as_it_was(begin, world):
    message = Message(role=Role.USER, parts=(Text(text="loud"),))
    exchange = begin(steps=(Upper(),), messages=(message,))
    await served(exchange)
    _, looked_up, generated = world.asked
    assert generated.input.messages[0].text == "LOUD"
    assert looked_up.probe == probe_of(generated.input, b"route") == world.kept[0].probe
    assert exchange.call.order.input.messages == (message,)
    names = [step.name for step in exchange.call.steps.recorded]
    assert names == [
        "validate", "admit", "upper", "route", "cache.lookup", "generate", "guard.output", "settle",
    ]  # fmt: skip


async def test_what_comes_after_a_request_in_its_task_is_not_of_its_scope(begin, world):
    seen = []

    async def keep(request):
        seen.append(CURRENT_SCOPE.get())

    world.keep = keep
    async with (exchange := begin()):
        assert CURRENT_SCOPE.get().deadline is not None
        await events_of(exchange)
    await exchange.afterwards()
    assert [*seen, CURRENT_SCOPE.get()] == [NOBODY, NOBODY]


async def test_a_step_that_refuses_ends_the_request_before_anybody_is_asked(begin, world):
    class Refusing:
        name = "guard.input"

        async def apply(self, request, call):
            raise ContentRefused("Not that.")

    with pytest.raises(ContentRefused):
        async with begin(steps=(Refusing(),)):
            pass
    assert world.asked == []
    assert [row.outcome for row in world.rows] == ["content_refused"]
    steps = [(step.name, step.error) for step in world.ended_exchanges[0].steps]
    assert steps == [("validate", ""), ("admit", ""), ("guard.input", "ContentRefused"), ("settle", "")]
    assert all(step.end_ns >= step.start_ns > 0 for step in world.ended_exchanges[0].steps)


class HoldBack:
    """An output guard that sees the whole answer before it lets any of it go, and has a last word."""

    def watch(self, answer, call):
        return self._watched(answer)

    async def _watched(self, answer):
        held = [event async for batch in answer for event in batch]
        await answer.aclose()
        *before, usage, finished = held
        yield [*before, TextDelta(text="!"), usage, finished]


@pytest.mark.parametrize("is_replay", [False, True])
async def test_guards_of_the_output_hold_back_and_add_once_on_replays_too(begin, world, is_replay):
    if is_replay:
        world.hit = Hit(events=(STARTED, TextDelta(text="Hi"), *ENDING), created_at=1.0)
    exchange = begin(guards=(HoldBack(), HoldBack()))
    async with exchange:
        answer = await exchange.answer()
    await exchange.afterwards()
    assert answer.text == "Hi!!"
    if is_replay:
        assert world.kept == []
    else:
        # What is kept is what the source gave: the guards of the day stand before it when it is replayed.
        assert [event.text for event in world.kept[0].events if isinstance(event, TextDelta)] == ["Hi"]
        assert world.happened == ["upstream ended", "billed", "kept"]


class Refuse:
    """An output guard that lets no answer pass."""

    def watch(self, answer, call):
        return self._watched(answer)

    async def _watched(self, answer):
        async for _ in answer:
            await answer.aclose()
            raise ContentRefused("The answer is refused.", upstream="first")
        yield ()


@pytest.mark.parametrize(
    ("hit", "told"),
    [
        ({}, {"result": "hit", "tier": "exact", "similarity": 1.0}),
        (
            {"by_meaning": True, "similarity": 0.9375, "entry_id": "an-id"},
            {"result": "hit", "tier": "semantic", "similarity": 0.9375, "entry": "an-id"},
        ),
    ],
)
async def test_a_trace_tells_which_entry_was_given_and_how_near_it_was(begin, world, hit, told):
    world.hit = Hit(events=(STARTED, TextDelta(text="Hi"), *ENDING), created_at=1.0, **hit)
    exchange = begin()
    await served(exchange)
    (step,) = [step for step in exchange.call.steps.recorded if step.name == "cache.lookup"]
    assert step.attributes == told


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
async def test_a_guard_refuses_an_answer_of_then_as_it_does_one_of_now(begin, world, whole):
    world.hit = Hit(events=(STARTED, TextDelta(text="Hi"), *ENDING), created_at=1.0)
    exchange = begin(guards=(Refuse(),), whole=whole)
    with pytest.raises(ContentRefused):
        async with exchange:
            await (exchange.answer() if whole else events_of(exchange))
    (row,) = world.rows
    assert (row.outcome, row.cost_nano_usd) == ("content_refused", 0)


async def test_what_is_kept_is_of_the_generation_that_was_looked_up(begin, world):
    world.generation = "of the look-up"
    await served(begin())
    assert world.kept[0].generation == "of the look-up"


async def test_what_is_asked_afresh_is_kept_with_the_generation_from_before_it_was_asked(begin, world):
    await served(begin(control=CacheControl(no_cache=True)))
    (looked,) = [asked for asked in world.asked if isinstance(asked, LookupRequest)]
    assert looked.afresh
    assert world.kept[0].generation == "g"


async def test_whose_answer_may_be_whose_while_it_is_generated(begin, world):
    world.requests_per_minute = 100

    async def flight(generation="g", control=None, **parts):
        world.generation = generation
        exchange = begin(control=control, **parts)
        await served(exchange)
        return exchange._visit.flight()

    usual = await flight()
    assert (usual.tenant, usual.generation, usual.user) == ("t", "g", "")
    assert await flight() == usual
    later = await flight("of an invalidation in between")
    assert later == msgspec.structs.replace(usual, generation="of an invalidation in between")
    private = await flight(control=CacheControl(private=True))
    assert private.user == "k"
    assert private.digest != usual.digest
    assert [await flight(control=one) for one in (CacheControl(no_cache=True), CacheControl(no_store=True))] == [
        None
    ] * 2


@pytest.mark.parametrize("control", [CacheControl(), CacheControl(no_cache=True)])
async def test_where_the_cache_did_not_answer_nothing_is_kept(begin, world, control):
    """Nobody knows what was invalidated while the answer was made."""
    world.generation = ""
    exchange = begin(control=control)
    await served(exchange)
    assert exchange.cache_outcome.status == ("bypass" if control.no_cache else "miss")
    assert world.kept == []


async def test_a_hit_asks_nobody_and_costs_nothing(begin, world):
    world.hit = Hit(events=(STARTED, TextDelta(text="Hi"), *ENDING), created_at=1.0)
    exchange = begin()
    async with exchange:
        events = await events_of(exchange)
    assert events[0].generation_id == "ours"
    assert (events[-1].attempts, events[-1].cost_nano_usd) == (0, 0)
    assert world.happened == ["billed"]
    assert (world.rows[0].cost_nano_usd, world.rows[0].cache_status, world.rows[0].usage) == (0, "hit", ENDING[0])
    assert str(exchange.cache_outcome) == "hit; tier=exact; similarity=1.00; temperature=unset"
    # The entry that was shared is as it was.
    assert world.hit.events[-1].cost_nano_usd == 7


async def test_a_hit_that_its_reader_leaves_in_the_middle_costs_nothing(begin, world):
    world.hit = Hit(events=(STARTED, TextDelta(text="Hi " * 1000), *ENDING), created_at=1.0)
    with pytest.raises(ZeroDivisionError):
        async with (exchange := begin()):
            async for _ in exchange.batches():
                raise ZeroDivisionError
    assert [row.cost_nano_usd for row in world.rows] == [0]


async def test_a_place_is_taken_for_longer_than_the_request_may_last(begin, world, monkeypatch):
    leases = []
    reserve = InMemoryLimiter.reserve

    async def noted(self, reservation_id, tenant, limits, demand, lease):
        leases.append(lease)
        return await reserve(self, reservation_id, tenant, limits, demand, lease)

    monkeypatch.setattr(InMemoryLimiter, "reserve", noted)
    async with begin(timeout=30):
        pass
    # What it may do beyond its deadline is part of it.
    assert leases[0] > timedelta(seconds=30) + exchange_module.SENDING_GRACE


async def test_an_answer_of_a_substitute_is_kept_for_a_minute(begin, world):
    finished = msgspec.structs.replace(ENDING[1], answered_by=OTHER)
    world.batches = (BATCHES[0], (ENDING[0], finished))
    await served(begin())
    assert world.kept[0].ttl == timedelta(seconds=60)
    assert world.rows[0].upstream == "second"


@pytest.mark.parametrize(
    ("control", "looked_up", "kept"),
    [
        (CacheControl(), ["for an answer"], True),
        (CacheControl(no_store=True), [], False),
        (CacheControl(no_cache=True), ["afresh"], True),
        (CacheControl(no_cache=True, no_store=True), [], False),
    ],
)
async def test_cache_control_says_whether_to_look_and_whether_to_keep(begin, world, control, looked_up, kept):
    await served(begin(control=control))
    asked = [asked for asked in world.asked if isinstance(asked, LookupRequest)]
    assert ["afresh" if one.afresh else "for an answer" for one in asked] == looked_up
    assert bool(world.kept) == kept


async def test_an_answer_that_did_not_stop_is_not_kept(begin, world):
    finished = msgspec.structs.replace(ENDING[1], reason=FinishReason.LENGTH)
    world.batches = (BATCHES[0], (ENDING[0], finished))
    await served(begin())
    assert world.kept == []


def test_an_order_can_be_written_down_and_read_again(ask):
    order = ChatOrder(
        request_id="r",
        generation_id="g",
        surface="grpc",
        tenant="t",
        key_id="k",
        timeout=timedelta(seconds=1.5),
        context=RequestContext(user="u", tags={"team": "a"}),
        input=ask(
            messages=(
                Message(role=Role.USER, parts=(Text(text="Hi"), Image(data=b"\x00\xff", media_type="image/png"))),
            )
        ),
        whole=True,
        cache_control=CacheControl(max_age=timedelta(seconds=3)),
    )
    written = msgspec.msgpack.encode(order)
    assert msgspec.msgpack.decode(written, type=ChatOrder) == order
    assert msgspec.json.decode(msgspec.json.encode(order), type=ChatOrder) == order


def test_an_order_for_vectors_can_be_written_down_as_it_came_over_grpc():
    message = pb.EmbedRequest(model="m", inputs=["a", "b"], dimensions=3)
    asked = EMBED.request.decode(message.SerializeToString())
    order = EmbeddingOrder(
        request_id="r",
        generation_id="g",
        surface="grpc",
        tenant="t",
        key_id="k",
        timeout=timedelta(seconds=1),
        input=asked.input,
        context=asked.context,
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=EmbeddingOrder) == order


async def test_a_place_among_the_concurrent_ones_is_leased_for_longer_than_a_request_can_last(begin):
    leases = []

    class Spy(InMemoryLimiter):
        async def reserve(self, reservation_id, tenant, limits, demand, lease):
            leases.append(lease)
            return await super().reserve(reservation_id, tenant, limits, demand, lease)

    exchange = begin(timeout=7.0)
    exchange._visits = msgspec.structs.replace(exchange._visits, limiter=Spy())
    async with exchange:
        pass
    assert leases[0] > timedelta(seconds=7) + exchange_module.SENDING_GRACE

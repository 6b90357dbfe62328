"""A request's way down its model's ladder: which step is taken, what is told, billed, recorded and left alone."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from penstock_common.contract.cache import Hit, LookupResponse
from penstock_common.contract.router import Policy
from penstock_common.errors import (
    ContentRefused,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotPermitted,
    NoHealthyUpstream,
    NotCached,
    UpstreamFailed,
    UpstreamTimeout,
)
from penstock_common.llm.types import (
    Candidate,
    Degradation,
    Finished,
    FinishReason,
    Plan,
    Started,
    TextDelta,
    UnitPrices,
    Usage,
)
from penstock_common.telemetry.steps import Step, Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.life.chat import ChatLife, LifeParts
from penstock_gateway.domain.life.descent import waited_ns
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.forks import NO_FORKS, Choices, Forks
from penstock_gateway.domain.life.ladder import Ladder, Ladders, SmallerModel, StaleAnswer, Template
from penstock_gateway.domain.life.order import CacheControl, Call, ChatOrder
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.tenant_settings import TierSettings

DAY = timedelta(days=1)
SORRY = "Sorry."
SMALL, STALE, TEXT = SmallerModel("small"), StaleAnswer(DAY), Template({"general": SORRY})
DOWN = UpstreamFailed("It is down.", upstream="first")


def answer_of(model, text="Hi"):
    candidate = Candidate(upstream="up", model=model)
    prices = UnitPrices(output_nano_usd=1_000_000)
    return (
        (Started(generation_id="theirs", answered_by=candidate, unit_prices=prices), TextDelta(text=text)),
        (
            Usage(input_tokens=1, output_tokens=1),
            Finished(FinishReason.STOP, candidate, attempts=1, cost_nano_usd=7, unit_prices=prices),
        ),
    )


@dataclass
class World:
    """Every port at once. ``answers`` and ``routes`` are by model: batches, of which one may be an error; or an error."""

    answers: dict = field(default_factory=dict)
    routes: dict = field(default_factory=dict)
    stale: Hit | None = None
    owed: dict = field(default_factory=dict)
    """What the failed attempt's step says."""
    asked: list = field(default_factory=list)
    looked_up: list = field(default_factory=list)
    routed: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    timeouts: list = field(default_factory=list)
    """What each generation was given, in seconds."""
    closed: int = 0
    on_failure: object = None

    async def look_up(self, request, steps):
        self.looked_up.append(request)
        return LookupResponse(hit=self.stale if request.stale_for is not None else None, generation="g")

    async def keep(self, request):
        self.kept.append(request)

    async def route(self, request, steps):
        self.routed.append(request)
        if request.model in self.routes:
            raise self.routes[request.model]
        return Plan(candidates=(Candidate(upstream="up", model=request.model),), reason="by order", route_digest=b"r")

    async def generate(self, request, steps, timeout=None):
        model = request.input.model
        self.timeouts.append(timeout)
        self.asked.append(request)
        steps.append(Step("attempt", 100, 103, attributes={"upstream": "up", "model": model, **self.owed}))
        try:
            for batch in self.answers[model]:
                if isinstance(batch, Exception):
                    if self.on_failure is not None:
                        self.on_failure()
                    raise batch
                yield batch
        finally:
            self.closed += 1

    def append(self, row):
        self.rows.append(row)

    def check_room(self):
        pass

    def ended(self, exchange):
        self.steps = exchange.steps

    def turned_away(self, surface, error):
        raise AssertionError("an exchange never turns away")


@pytest.fixture
def world():
    return World(answers={"m": (DOWN,), "small": answer_of("small")})


@pytest.fixture
def begin(world, ask):
    door, limiter = Door(Capacity(requests=10), Refusals(600)), InMemoryLimiter()

    def make(
        *rungs,
        guards=(),
        control=None,
        models=frozenset(),
        whole=False,
        reserve=timedelta(),
        regions=(),
        forks=NO_FORKS,
        **more,
    ):
        parts = LifeParts(
            visits=VisitParts(limiter=limiter, ledger=world, observer=world),
            input_steps=(),
            cache=world,
            router=world,
            generator=world,
            guards=guards,
            forks=forks,
            ladders=Ladders({"m": Ladder.of(*rungs, reserve=reserve)} if rungs else {}),
        )
        order = ChatOrder(
            request_id="r",
            generation_id="ours",
            surface="openai",
            tenant="t",
            key_id="k",
            input=ask(model="m"),
            whole=whole,
            cache_control=control or CacheControl(),
            **{"timeout": timedelta(seconds=60), **more},
        )
        caller = Caller(
            Tenant(
                "t",
                Tier("own", rules=TierSettings(requests_per_minute=100, concurrent_requests=1).rules()),
                regions=regions,
            ),
            "k",
            frozenset(),
            frozenset(models),
        )
        trace = TraceStarter(0, random.Random(1)).start("")
        return ChatLife(parts).begin(Call(order, caller, door.enter(caller), trace, Steps(), time.time_ns()))

    return make


async def text_of(exchange):
    async with exchange:
        batches = [batch async for batch in exchange.batches()]
    await exchange.afterwards()
    return "".join(event.text for batch in batches for event in batch if isinstance(event, TextDelta))


def walked(world):
    return [
        (step.name.removeprefix("degrade."), step.attributes["result"], step.attributes["reason"])
        for step in world.steps
        if step.name.startswith("degrade.")
    ]


async def test_without_a_ladder_the_error_is_told(begin, world):
    with pytest.raises(UpstreamFailed):
        await text_of(begin())
    assert world.rows[0].outcome == "upstream_failed"


async def test_the_first_step_that_can_be_taken_is(begin, world):
    exchange = begin(STALE, SMALL, TEXT)
    assert await text_of(exchange) == "Hi"
    assert exchange.degraded is Degradation.SMALLER_MODEL
    assert exchange.progress.finished.degraded is Degradation.SMALLER_MODEL
    assert exchange.progress.finished.attempts == 2
    assert exchange.progress.started.generation_id == "ours"
    assert walked(world) == [("stale", "skipped", "no answer is kept"), ("smaller_model", "taken", "")]
    assert [step.error for step in world.steps if step.name == "generate"] == ["UpstreamFailed", ""]
    (row,) = world.rows
    assert (row.outcome, row.degraded, row.model, row.cost_nano_usd, row.attempts) == (
        "ok",
        "smaller_model",
        "small",
        7,
        2,
    )


async def test_of_a_step_that_leads_to_others_the_router_is_told_which_of_them_the_key_may_use(begin, world):
    leading = Forks(Choices(leading=frozenset({"small"})))
    await text_of(begin(SMALL, forks=leading, models={"m", "small", "tiny"}, policy=Policy.COST))
    told = world.routed[-1]
    assert (told.model, told.tenant, told.policy) == ("small", "t", Policy.COST)
    assert told.allowed_models == ("m", "small", "tiny")
    assert told.subject is not None


async def test_each_failed_stream_is_closed_before_the_next_step(begin, world):
    world.answers["small"] = (DOWN,)
    assert await text_of(begin(SMALL, TEXT)) == SORRY
    assert world.closed == 2


async def test_what_stood_in_is_not_kept_and_the_models_own_is_kept_for_longer(begin, world):
    await text_of(begin(SMALL, STALE))
    assert world.kept == []
    world.answers["m"] = answer_of("m")
    await text_of(begin(SMALL, STALE))
    await text_of(begin(SMALL))
    assert [request.stale_for for request in world.kept] == [DAY, None]


async def test_a_whole_answer_that_broke_off_is_started_anew(begin, world):
    first, _ = answer_of("m", "Part")
    world.answers["m"] = (first, DOWN)
    exchange = begin(SMALL, whole=True)
    async with exchange:
        answer = await exchange.answer()
    assert (answer.text, answer.finished.degraded) == ("Hi", Degradation.SMALLER_MODEL)


async def test_nothing_stands_in_for_a_stream_that_has_begun(begin, world):
    first, _ = answer_of("m", "Part")
    world.answers["m"] = (first, DOWN)
    with pytest.raises(UpstreamFailed):
        await text_of(begin(SMALL, TEXT))
    assert walked(world) == []
    assert world.rows[0].degraded == ""


async def test_who_cannot_be_routed_gets_what_needs_no_route(begin, world):
    world.routes["m"] = NoHealthyUpstream("All are out.", model="m")
    world.stale = Hit(events=tuple(event for batch in answer_of("m") for event in batch), created_at=time.time())
    assert await text_of(begin(STALE, TEXT)) == SORRY
    assert walked(world) == [
        ("stale", "skipped", "it was not routed, and answers are kept by their route"),
        ("template", "taken", ""),
    ]
    assert world.rows[0].attempts == 0


async def test_who_cannot_be_routed_and_has_no_step_left_used_up_no_request(begin, world):
    world.routes |= {"m": NoHealthyUpstream("All are out.", model="m"), "small": ModelNotPermitted("Not there.")}
    with pytest.raises(NoHealthyUpstream):
        await text_of(begin(SMALL))
    assert walked(world) == [("smaller_model", "skipped", "Not there.")]


async def test_a_stale_answer_has_an_age_and_costs_nothing(begin, world):
    kept = tuple(event for batch in answer_of("m", "Kept.") for event in batch)
    world.stale = Hit(events=kept, created_at=time.time() - 3600)
    exchange = begin(STALE, SMALL)
    assert await text_of(exchange) == "Kept."
    assert exchange.age_seconds >= 3600
    assert str(exchange.cache_outcome).endswith("; stale")
    assert [(request.stale_for, request.max_age) for request in world.looked_up] == [(None, None), (DAY, None)]
    assert (world.rows[0].cost_nano_usd, world.rows[0].cache_status, world.rows[0].degraded) == (0, "hit", "stale")


async def test_a_key_that_may_not_use_the_smaller_model_does_not(begin, world):
    assert await text_of(begin(SMALL, TEXT, models={"m"})) == SORRY
    assert walked(world)[0] == ("smaller_model", "skipped", "the key may not use the model 'small'")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"may_degrade": False}, UpstreamFailed),
        ({"control": CacheControl(only_if_cached=True)}, NotCached),
    ],
    ids=["refused", "of the cache alone"],
)
async def test_who_wants_nothing_less_gets_no_step(begin, world, more, error):
    exchange = begin(SMALL, TEXT, **more)
    assert not exchange.may_degrade
    with pytest.raises(error):
        await text_of(exchange)
    assert walked(world) == []


async def test_where_no_step_is_left_the_first_error_is_told_and_what_is_owed_is_billed(begin, world):
    world.answers["small"] = (UpstreamTimeout("Silent.", upstream="second"),)
    world.owed = {
        "owed_input_tokens": 2, "owed_output_tokens": 1, "owed_cached_input_tokens": 0,
        "input_nano_usd": 1_000_000, "cached_input_nano_usd": 0, "output_nano_usd": 1_000_000,
    }  # fmt: skip
    with pytest.raises(UpstreamFailed, match=r"It is down\."):
        await text_of(begin(SMALL))
    (row,) = world.rows
    assert (row.outcome, row.degraded, row.attempts, row.cost_nano_usd) == ("upstream_failed", "", 2, 6)


@pytest.mark.parametrize(
    ("error", "rungs"),
    [(ContentRefused("No."), (SMALL, TEXT)), (DeadlineExceeded("Late."), (SMALL,))],
    ids=["its policy", "the request's time"],
)
async def test_what_ends_a_step_for_good_ends_the_walk(begin, world, error, rungs):
    world.answers["small"] = (error,)
    with pytest.raises(type(error)):
        await text_of(begin(*rungs))
    assert world.rows[0].degraded == ""


@pytest.mark.parametrize("model", ["m", "small"])
async def test_where_a_models_time_is_over_there_is_some_for_what_asks_none(begin, world, model):
    world.answers[model] = (DeadlineExceeded("Late."),)
    exchange = begin(SMALL, TEXT, reserve=timedelta(seconds=1))
    assert await text_of(exchange) == SORRY
    skipped = ("smaller_model", "skipped", "the time that is left is too short for a model")
    taken = ("smaller_model", "taken", "")
    assert walked(world) == [skipped if model == "m" else taken, ("template", "taken", "")]
    # Of sixty seconds.
    assert all(57 < timeout <= 59 for timeout in world.timeouts)


async def test_of_a_short_time_a_tenth_is_kept(begin, world):
    await text_of(begin(SMALL, TEXT, reserve=timedelta(seconds=1), timeout=timedelta(seconds=2)))
    assert all(0 < timeout <= 1.8 for timeout in world.timeouts)


async def test_nothing_is_kept_where_every_step_asks_a_model(begin, world):
    await text_of(begin(SMALL, reserve=timedelta(seconds=1)))
    world.answers["small"] = (DOWN,)
    await text_of(begin(TEXT, SMALL, reserve=timedelta(seconds=1)))
    first, small, before_a_text = world.timeouts
    assert (first, small) == (None, None)
    assert before_a_text is not None


async def test_a_step_that_cannot_take_the_request_after_all_is_left_for_the_next(begin, world):
    world.answers["small"] = (InvalidRequest("It takes no seed.", field="seed"),)
    assert await text_of(begin(SMALL, TEXT)) == SORRY


async def test_no_step_is_taken_once_the_time_is_over(begin, world, monkeypatch):
    clock = time.monotonic

    def late():
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 61)

    world.on_failure = late
    with pytest.raises(UpstreamFailed):
        await text_of(begin(SMALL, TEXT))
    assert walked(world) == []


async def test_guards_see_what_stands_in(begin, world):
    seen = []

    class Watching:
        def watch(self, answer, call):
            async def watched():
                async for batch in answer:
                    seen.append(type(batch[0]).__name__)
                    yield batch

            return watched()

    assert await text_of(begin(TEXT, guards=(Watching(),))) == SORRY
    assert seen == ["Started"]


async def test_a_caller_who_leaves_owes_what_the_smaller_model_wrote(begin, world):
    exchange = begin(SMALL)
    with pytest.raises(ZeroDivisionError):
        async with exchange:
            async for _ in exchange.batches():
                raise ZeroDivisionError
    (row,) = world.rows
    assert (row.model, row.degraded, row.usage.estimated) == ("small", "smaller_model", True)
    assert row.cost_nano_usd == row.usage.output_tokens


def step(start_ns, end_ns, **attributes):
    return Step("attempt", start_ns, end_ns, attributes=attributes)


@pytest.mark.parametrize(
    ("attempts", "nanoseconds"),
    [
        ([step(100, 103)], 3),
        # A pause between two.
        ([step(100, 103), step(200, 210)], 110),
        # Two at once, of which the first lasts longer.
        ([step(100, 300), step(200, 210)], 200),
        # Two milliseconds until the limits let it in.
        ([step(100, 103, queued_ms=2.0)], 2_000_003),
    ],
)
def test_what_is_waited_for_upstreams_is_from_the_first_attempt_to_the_last_ones_end(attempts, nanoseconds):
    assert waited_ns(attempts) == nanoseconds


async def test_a_step_whose_route_takes_the_rest_of_the_time_is_the_end(begin, world):
    world.routes["small"] = DeadlineExceeded("Late.")
    with pytest.raises(DeadlineExceeded):
        await text_of(begin(SMALL))


async def test_an_answer_of_a_clock_that_is_ahead_has_no_age(begin, world):
    kept = tuple(event for batch in answer_of("m", "Kept.") for event in batch)
    world.stale = Hit(events=kept, created_at=time.time() + 3600)
    exchange = begin(STALE)
    assert await text_of(exchange) == "Kept."
    assert exchange.age_seconds == 0


async def test_a_stale_answer_is_no_older_than_the_request_wants_it(begin, world):
    with pytest.raises(UpstreamFailed):
        await text_of(begin(STALE, control=CacheControl(max_age=timedelta(seconds=7))))
    assert [request.max_age for request in world.looked_up] == [timedelta(seconds=7)] * 2


async def test_who_was_not_asked_is_no_attempt_in_vain(begin, world):
    world.owed = {"asked": False}
    exchange = begin(TEXT)
    assert await text_of(exchange) == SORRY
    assert exchange.progress.finished.attempts == 0


async def test_a_smaller_model_is_looked_for_where_the_tenant_may_be_served(begin, world):
    regions = ("eu",)
    assert await text_of(begin(SMALL, regions=regions)) == "Hi"
    assert [(request.model, tuple(request.allowed_regions)) for request in world.routed] == [
        ("m", regions),
        ("small", regions),
    ]

"""What upstreams see while they are down, refuse for their rate limit, or are slow, and when they are back."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count

import pytest

from penstock_common import errors
from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.openai_upstream import Answer, Behaviour, Body, Failure, NoResponse, OpenAIUpstream
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_inference.adapters.telemetry import HealthMetrics
from penstock_inference.app import build
from penstock_inference.domain.generation import Pauses
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.probe import PROBE_TEXT
from penstock_inference.settings import Settings

ELSEWHERE = "Hello, world."


class Time:
    """A clock that stands still until a test moves it, and pauses that end when it has moved so far."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def __call__(self) -> float:
        return self.now

    @property
    def sleeping(self) -> int:
        """How many wait."""
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved so far."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
        await woken

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        while self._sleepers and self._sleepers[0][0] <= self.now:
            heapq.heappop(self._sleepers)[2].set_result(None)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def health(time: Time) -> Health:
    return Health(clock=time)


@pytest.fixture
async def ask(first: OpenAIUpstream, second: OpenAIUpstream, time: Time, health: Health):
    """A function that asks ``first/m`` and ``second/m``, at a service whose time stands still."""
    # By the loop's clock, which goes on: none of them is what a test is about.
    timeouts = {"connect": "120s", "first_token": "120s", "idle": "120s"}
    upstreams = [server.settings(name, timeouts=timeouts) for name, server in (("first", first), ("second", second))]
    settings = Settings.model_validate({"upstreams": upstreams})
    async with (
        build(settings, Pauses(chance=lambda: 0.5, sleep=time.sleep), health) as service,
        channel_to(service, IN_PROCESS) as channel,
    ):
        caller = GenerationCaller(channel)
        yield lambda *plan, **more: caller.ask(*(plan or ("first/m", "second/m")), **more)


def state_of(health: Health, upstream: str) -> State:
    """Return the state of an upstream that has one place."""
    (state,) = [place.state for place in health.states() if place.name.upstream == upstream]
    return state


async def put_out(ask, first: OpenAIUpstream, time: Time, health: Health, failure: Behaviour) -> None:
    """Let the first fail until it is out; nobody who asks meanwhile goes without an answer."""
    first.otherwise = lambda _: failure
    while state_of(health, "first") is not State.EJECTED:
        asking = asyncio.ensure_future(ask())
        while not asking.done():
            await asyncio.sleep(0)
            time.move(1.0) if time.sleeping else None
        assert asking.result().answer.text == ELSEWHERE


@pytest.mark.parametrize(
    "failure",
    [Failure(503), Failure(500), Body(frames=[b"<html>"], content_type="text/html")],
    ids=["503", "500", "html"],
)
async def test_who_is_down_sees_one_probe_at_a_time_and_is_back_once_it_has_recovered(
    failure: Behaviour, ask, first, second, time, health
) -> None:
    await put_out(ask, first, time, health, failure)
    seen = len(first.requests)
    for _ in range(50):
        outcome = await ask()
        assert outcome.outcomes == ["second answered"]
        assert outcome.steps[0].attributes["passed_over"] == "first/m ejected"
    assert len(first.requests) == seen

    while not first._arrivals.empty():  # noqa: SLF001 - those of before
        first._arrivals.get_nowait()  # noqa: SLF001
    answered = asyncio.Event()
    first.otherwise = lambda _: Answer(hold={0: answered})
    time.move(12)
    probe = await first.next_request()
    assert probe.body["messages"] == [{"role": "user", "content": "Hi"}]
    assert probe.body.get("max_tokens", probe.body.get("max_completion_tokens")) == 1
    # It takes its time: there is no second beside it, and nobody waits for it.
    for _ in range(20):
        time.move(0.4)
        assert (await ask()).outcomes == ["second answered"]
    assert len(first.requests) == seen + 1
    first.otherwise = lambda _: Answer()
    answered.set()
    for _ in range(2):
        await first.next_request()
    while state_of(health, "first") is not State.OK:
        await asyncio.sleep(0)
    assert (await ask()).outcomes == ["first answered"]


async def test_a_probe_that_is_refused_for_its_one_token_is_a_sign_of_life(ask, first, time, health) -> None:
    await put_out(ask, first, time, health, Failure(503))
    odd = {"message": "max_tokens must be at least 16", "param": "max_tokens", "type": "invalid_request_error"}
    first.otherwise = lambda _: Failure(400, odd)
    time.move(12)
    while state_of(health, "first") is not State.OK:
        await asyncio.sleep(0.01)


async def test_with_everybody_out_callers_still_reach_the_least_bad_and_bring_it_back(
    ask, first, second, health
) -> None:
    for place in health.places.values():
        place.eject(health.clock(), "connect")
    outcomes = [(await ask()).outcomes for _ in range(3)]
    assert outcomes == [["first answered"]] * 3
    assert state_of(health, "first") is State.OK
    assert second.requests == []


def in_a_minute() -> dict[str, str]:
    """Return headers of a server whose clock is an hour behind."""
    then = datetime.now(UTC) - timedelta(hours=1)
    return {
        "date": format_datetime(then, usegmt=True),
        "retry-after": format_datetime(then + timedelta(seconds=60), usegmt=True),
    }


LONGEST_WORTH_WAITING_FOR = 2
STORMS: dict[str, tuple[Callable[[], dict[str, str]], float]] = {
    "1": (lambda: {"retry-after": "1"}, 1),
    "60": (lambda: {"retry-after": "60"}, 60),
    "3600": (lambda: {"retry-after": "3600"}, 3600),
    "1500 ms": (lambda: {"retry-after-ms": "1500", "retry-after": "60"}, 1.5),
    "date": (in_a_minute, 60),
    "garbage": (lambda: {"retry-after": "soon"}, 1),
    "negative": (lambda: {"retry-after": "-5"}, 1),
    "none": (dict, 1),
    "longer than is believed": (lambda: {"retry-after": "86400"}, 3600),
}


@pytest.mark.parametrize("form", STORMS)
async def test_in_a_storm_of_429_nobody_asks_before_the_time_and_all_are_answered(
    form: str, ask, first, second, time, health
) -> None:
    headers, seconds = STORMS[form]
    first.otherwise = lambda _: Failure(429, {"message": "slowly", "type": "rate_limit_error"}, headers())
    asking = [asyncio.ensure_future(ask()) for _ in range(200)]
    while time.sleeping < sum(not each.done() for each in asking):
        await asyncio.sleep(0)
    refused = len(first.requests)
    first.otherwise = lambda _: Answer()
    time.move(seconds * 0.9)
    if seconds > LONGEST_WORTH_WAITING_FOR:
        late = await asyncio.gather(*(ask() for _ in range(20)))
        assert all(outcome.outcomes == ["second answered"] for outcome in late)
    assert len(first.requests) == refused
    while left := sum(not each.done() for each in asking):
        # Nobody's answer takes longer by this clock because the machine is slow.
        if time.sleeping == left:
            time.move(seconds * 0.02)
        await asyncio.sleep(0)
    assert all(each.result().answer.text == ELSEWHERE for each in asking)
    time.move(seconds)
    assert state_of(health, "first") is State.OK
    assert (await ask()).outcomes == ["first answered"]


async def test_where_all_refuse_the_caller_is_told_the_soonest(ask, first, second) -> None:
    first.otherwise = lambda _: Failure(429, None, {"retry-after": "3600"})
    second.otherwise = lambda _: Failure(429, None, {"retry-after": "40"})
    for attempts in (2, 0, 0):
        outcome = await ask()
        assert isinstance(outcome.error, errors.RateLimited)
        assert outcome.error.retry_after == timedelta(seconds=40)
        assert len(outcome.steps) == attempts
    assert len(first.requests) + len(second.requests) == 2


async def test_of_two_replicas_the_one_that_does_not_answer_gets_little(serve, first, second) -> None:
    settings = first.settings("both", base_urls=[first.base_url, second.base_url])
    del settings["base_url"]
    caller = await serve(settings)
    never = asyncio.Event()
    second.otherwise = lambda _: Answer(hold={0: never})
    asking: list[asyncio.Future[object]] = []
    for _ in range(100):
        asking.append(asyncio.ensure_future(caller.ask("both/m")))
        before = len(first.requests) + len(second.requests)
        while len(first.requests) + len(second.requests) == before or (
            not asking[-1].done() and len(first.requests) > 0 and first.requests[-1].arrived_at > second_arrived(second)
        ):
            await asyncio.sleep(0)
    assert len(first.requests) >= 90
    never.set()
    await asyncio.gather(*asking)


def second_arrived(upstream: OpenAIUpstream) -> float:
    """Return when its last request came."""
    return upstream.requests[-1].arrived_at if upstream.requests else 0.0


async def test_a_key_that_is_refused_is_left_out_and_the_other_answers(serve, first) -> None:
    settings = first.settings("keys", api_keys=["sk-good", "sk-revoked"])
    del settings["api_key"]
    caller = await serve(settings)

    def by_key(request) -> Behaviour:
        return Answer() if request.headers["authorization"] == "Bearer sk-good" else Failure(401)

    first.otherwise = by_key
    for _ in range(50):
        assert (await caller.ask("keys/m")).answer.text == ELSEWHERE
    revoked = [request for request in first.requests if request.headers["authorization"] != "Bearer sk-good"]
    # A probe asks at once whether it was the key.
    revoked = [request for request in revoked if request.body["messages"][0]["content"] != PROBE_TEXT]
    assert len(revoked) <= 1
    metrics = next(each for each in serve.service.collectors if isinstance(each, HealthMetrics))
    samples = [sample for family in metrics.collect() for sample in family.samples]
    assert not any("sk-" in str(sample.labels) for sample in samples)
    ejections = [sample.value for sample in samples if sample.name == "penstock_upstream_ejections_total"]
    assert sum(ejections) == len(revoked)


async def test_a_silent_upstream_is_out_before_its_timers_end(ask, first, second, time, health) -> None:
    for _ in range(30):
        await ask("first/m")
    first.otherwise = lambda _: NoResponse()
    silent = [asyncio.ensure_future(ask("first/m", "second/m")) for _ in range(6)]
    while len(first.requests) < 36:
        await asyncio.sleep(0)
    time.move(5)
    while state_of(health, "first") is State.OK:
        await asyncio.sleep(0.01)
    assert (await ask()).outcomes == ["second answered"]
    for each in silent:
        each.cancel()
    await asyncio.gather(*silent, return_exceptions=True)

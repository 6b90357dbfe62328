"""Whom a part of a call is asked of, when, and what is learned from the answers: on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from penstock_common.errors import DeadlineExceeded, InvalidRequest, Overloaded, UpstreamFailed, UpstreamTimeout
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.failover import Failover
from penstock_embedding.domain.failure import Again, AttemptFailed
from penstock_embedding.domain.upstream import Clocks, FailoverPolicy, Vectors
from penstock_embedding.domain.upstream_health import RetryBudget, UpstreamHealth


def failing(name: str, again: Again, cause: str, retry_after: float | None = None) -> AttemptFailed:
    told = None if retry_after is None else timedelta(seconds=retry_after)
    if cause == "rate_limited":
        return AttemptFailed(Overloaded(f"{name} is busy"), again, cause, told)
    if cause == "timeout":
        return AttemptFailed(UpstreamTimeout(f"{name} was silent", upstream=name), again, cause)
    return AttemptFailed(UpstreamFailed(f"{name} failed", upstream=name), again, cause, told)


def failed(name: str) -> AttemptFailed:
    return failing(name, Again.HERE, "status")


def busy(name: str, seconds: float | None) -> AttemptFailed:
    return failing(name, Again.OTHERS_FIRST, "rate_limited", seconds)


def malformed(name: str) -> AttemptFailed:
    return failing(name, Again.OTHERS_FIRST, "malformed")


Behaviour = Vectors | AttemptFailed | asyncio.Event | None
GOOD = Vectors([[1.0, 0.0]], 3)


class Played:
    """An upstream that does what the test says, and a good answer where it says nothing; ``always`` for every request."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.asked: list[str] = []
        self.seconds: list[float] = []
        self.others_left: list[bool] = []
        self.takes_seconds = 0.0
        self.always: Behaviour = None
        self.fails: AttemptFailed | None = None
        """What those meet who have waited for an event; nothing: a good answer."""
        self._world = world
        self._next: deque[Behaviour] = deque()

    def then(self, *behaviours: Behaviour) -> None:
        self._next.extend(behaviours)

    async def ask(self, asked: str, seconds: float, *, others_left: bool, sent: Callable[[], None]) -> Vectors:
        self.asked.append(asked)
        self.seconds.append(seconds)
        self.others_left.append(others_left)
        sent()
        self._world.now += self.takes_seconds
        behaviour = self._next.popleft() if self._next else self.always
        if isinstance(behaviour, asyncio.Event):
            await behaviour.wait()
            if self.fails is not None:
                raise self.fails
            return GOOD
        if isinstance(behaviour, AttemptFailed):
            raise behaviour
        return behaviour or GOOD


class World:
    """Upstreams behind one failover; sleeping moves the clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.chance = 0.5
        self.slept: list[float] = []
        self.events: list[tuple[str, ...]] = []

    def open(self, count: int = 2, **policy: Any) -> tuple[Played, ...]:
        played = tuple([Played(self, name) for name in "abcd"[:count]])
        clocks = Clocks(lambda: self.now, self.sleep, lambda: self.chance)
        self.failover: Failover[str] = Failover(played, FailoverPolicy(**policy), self, clocks)
        return played

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def ask(self, text: str = "x", account: Account | None = None, seconds: float | None = None) -> Vectors:
        deadline = None if seconds is None else self.now + seconds
        return await self.failover.ask(text, 10, account or Account(), deadline)

    async def lose(self, upstream: Played) -> None:
        """Let five calls fail at it, so that it goes."""
        upstream.always = failing(upstream.name, Again.ELSEWHERE, "connect")
        for _ in range(5):
            await self.ask()
        assert ("out", upstream.name, "connect") in self.events
        upstream.asked.clear()

    def attempted(self, upstream: str, outcome: str) -> None:
        self.events.append(("attempt", upstream, outcome))

    def put_out(self, upstream: str, cause: str) -> None:
        self.events.append(("out", upstream, cause))

    def taken_back(self, upstream: str) -> None:
        self.events.append(("back", upstream))


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_is_asked_while_it_answers(world: World) -> None:
    first, second = world.open()
    account = Account()
    assert [await world.ask(account=account) for _ in range(3)] == [GOOD] * 3
    assert (len(first.asked), len(second.asked), account.attempts) == (3, 0, 1)
    assert account.answered == {"a": 9}


async def test_one_failure_is_repeated_at_the_same_upstream_after_a_pause_with_jitter(world: World) -> None:
    first, second = world.open()
    first.then(failed("a"))
    account = Account()
    await world.ask(account=account)
    assert (len(first.asked), len(second.asked), account.attempts) == (2, 0, 2)
    assert world.slept == [0.125]


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [
        pytest.param(failed("a"), 2, id="a status that may pass"),
        pytest.param(failing("a", Again.ELSEWHERE, "timeout"), 1, id="silence"),
        pytest.param(failing("a", Again.ELSEWHERE, "key"), 1, id="our key"),
        pytest.param(malformed("a"), 1, id="no proper answer"),
        pytest.param(busy("a", 1.0), 1, id="told to wait"),
        pytest.param(busy("a", None), 1, id="rate limited without a time"),
        pytest.param(failing("a", Again.HERE, "status", 5.0), 1, id="a 503 with a time"),
    ],
)
async def test_what_fails_at_the_first_is_answered_by_the_second(
    world: World, failure: AttemptFailed, attempts: int
) -> None:
    first, second = world.open()
    first.always = failure
    first.takes_seconds = 2.0
    account = Account()
    assert await world.ask(account=account) == GOOD
    assert (len(first.asked), len(second.asked)) == (attempts, 1)
    assert (account.answered, account.owed, account.attempts) == ({"b": 3}, {"b": 3}, attempts + 1)
    outcomes = [step.attributes["outcome"] for step in account.steps.recorded]
    assert outcomes == [failure.cause] * attempts + ["answered"]


async def test_what_the_texts_are_at_fault_for_is_told_at_once_and_held_against_nobody(world: World) -> None:
    first, second = world.open()
    refused = AttemptFailed(InvalidRequest("too long", field="inputs"), Again.NOWHERE, "input")
    first.always = refused
    for _ in range(20):
        with pytest.raises(InvalidRequest):
            await world.ask()
    assert second.asked == []
    assert world.failover.standing() == {"a": False, "b": False}


async def test_where_all_fail_the_first_failure_is_told_and_each_is_asked_twice(world: World) -> None:
    first, second = world.open()
    first.always, second.always = failed("a"), failed("b")
    with pytest.raises(UpstreamFailed, match="a failed"):
        await world.ask()
    assert (len(first.asked), len(second.asked)) == (2, 2)


async def test_our_own_refused_key_is_not_what_a_caller_hears_while_there_is_another_reason(world: World) -> None:
    first, second = world.open()
    first.always, second.always = failing("a", Again.ELSEWHERE, "key"), failing("b", Again.ELSEWHERE, "connect")
    with pytest.raises(UpstreamFailed, match="b failed"):
        await world.ask()


async def test_a_refused_key_puts_an_upstream_out_at_once(world: World) -> None:
    first, _ = world.open()
    first.always = failing("a", Again.ELSEWHERE, "key")
    await world.ask()
    await world.ask()
    assert len(first.asked) == 1


async def test_who_has_no_time_for_a_pause_is_told_at_once(world: World) -> None:
    (only,) = world.open(1)
    only.always = failed("a")
    with pytest.raises(UpstreamFailed):
        await world.ask(seconds=0.1)
    assert (len(only.asked), world.slept) == (1, [])


async def test_no_proper_answer_is_asked_for_once_more_where_nobody_else_is_left(world: World) -> None:
    (only,) = world.open(1)
    only.then(malformed("a"))
    assert await world.ask() == GOOD
    assert (len(only.asked), world.slept) == (2, [0.125])


async def test_a_vector_of_another_length_reaches_nobody(world: World) -> None:
    first, second = world.open()
    await world.ask()
    first.then(Vectors([[1.0, 0.0, 0.0]], 3))
    account = Account()
    assert await world.ask(account=account) == GOOD
    assert (len(second.asked), account.answered) == (1, {"b": 3})
    assert ("attempt", "a", "dimensions") in world.events


async def test_declared_dimensions_hold_from_the_first_answer_on(world: World) -> None:
    first, _ = world.open(dimensions=2)
    first.always = Vectors([[1.0, 0.0, 0.0]], 3)
    assert await world.ask() == GOOD


async def test_five_failures_in_a_row_put_it_out_and_one_call_tries_it_after_ten_seconds(world: World) -> None:
    first, second = world.open()
    await world.lose(first)
    for _ in range(10):
        await world.ask()
    assert first.asked == []
    world.now += 10.0
    await world.ask()
    await world.ask()
    assert len(first.asked) == 1
    assert world.failover.standing() == {"a": True, "b": False}
    assert second.others_left[-1] is False


async def test_it_is_back_after_three_good_probes_in_a_row(world: World) -> None:
    first, second = world.open()
    await world.lose(first)
    first.always = None
    world.now += 10.0
    asked_before = len(second.asked)
    for _ in range(3):
        await world.ask()
    assert world.events[-1] == ("back", "a")
    assert len(second.asked) == asked_before
    first.then(failing("a", Again.ELSEWHERE, "connect"))
    await world.ask()
    assert world.failover.standing() == {"a": False, "b": False}


async def test_a_failed_probe_begins_the_count_again(world: World) -> None:
    first, _ = world.open()
    await world.lose(first)
    first.always = None
    first.then(None, None, failing("a", Again.ELSEWHERE, "connect"))
    world.now += 10.0
    for _ in range(4):
        await world.ask()
    assert len(first.asked) == 3
    world.now += 10.0
    await world.ask()
    assert world.failover.standing()["a"] is True


async def test_one_call_at_a_time_tries_it(world: World) -> None:
    first, second = world.open()
    await world.lose(first)
    held = asyncio.Event()
    first.always = held
    world.now += 10.0
    before = len(second.asked)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(world.ask()) for _ in range(20)]
        while not all(call.done() for call in calls[1:]):
            await asyncio.sleep(0)
        assert (len(first.asked), len(second.asked) - before) == (1, 19)
        held.set()


async def test_a_probe_that_its_caller_leaves_is_not_the_next_callers_at_once(world: World) -> None:
    first, _ = world.open()
    await world.lose(first)
    first.always = asyncio.Event()
    world.now += 10.0
    probe = asyncio.ensure_future(world.ask())
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.wait([probe])
    await world.ask()
    assert len(first.asked) == 1
    assert ("attempt", "a", "cancelled") in world.events


async def test_probes_are_rare_after_ten_minutes(world: World) -> None:
    first, _ = world.open()
    await world.lose(first)
    world.now += 601.0
    await world.ask()
    world.now += 20.0
    await world.ask()
    assert len(first.asked) == 1
    world.now += 10.0
    await world.ask()
    assert len(first.asked) == 2


async def test_the_last_one_is_never_put_out(world: World) -> None:
    first, second = world.open()
    await world.lose(first)
    second.always = failed("b")
    for _ in range(20):
        with pytest.raises(UpstreamFailed):
            await world.ask()
    assert world.failover.standing() == {"a": True, "b": False}
    assert len(second.asked) >= 20


async def test_where_the_others_fail_the_one_that_is_out_is_tried_all_the_same(world: World) -> None:
    first, second = world.open()
    await world.lose(first)
    first.always, second.always = None, failing("b", Again.ELSEWHERE, "connect")
    assert await world.ask() == GOOD
    assert len(first.asked) == 1


async def test_one_calls_failures_eject_nobody(world: World) -> None:
    first, _ = world.open()
    first.always = failing("a", Again.ELSEWHERE, "status")
    account = Account()
    for _ in range(20):
        await world.ask(account=account)
    assert world.failover.standing()["a"] is False


async def test_nobody_asks_before_the_time_that_was_told(world: World) -> None:
    first, second = world.open()
    first.then(busy("a", 60.0))
    await world.ask()
    world.now += 59.9
    await world.ask()
    assert (len(first.asked), len(second.asked)) == (1, 2)
    world.now += 0.2
    await world.ask()
    assert len(first.asked) == 2
    assert not any(event[0] == "out" for event in world.events)


@pytest.mark.parametrize(
    "order", [(60.0, 1.0, None), (1.0, None, 60.0), (None, 60.0, 1.0)], ids=["60-1", "1-60", "none"]
)
def test_a_later_refusal_never_shortens_the_time(order: tuple[float | None, ...]) -> None:
    health = UpstreamHealth()
    for seconds in order:
        health.told_to_wait(100.0, 0.5, seconds)
    assert health.cooling_until >= 160.0


def test_an_untold_time_doubles_up_to_a_minute() -> None:
    health, waits = UpstreamHealth(), []
    for _ in range(9):
        health.cooling_until = 0.0
        health.told_to_wait(0.0, 1.0, None)
        waits.append(health.cooling_until)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_short_time_is_waited_for_where_all_are_left_alone(world: World) -> None:
    first, second = world.open()
    first.then(busy("a", 3.0))
    second.then(busy("b", 5.0))
    assert await world.ask() == GOOD
    assert world.slept == [3.125]
    assert (len(first.asked), len(second.asked)) == (2, 1)


@pytest.mark.parametrize(
    ("told", "seconds"), [(9.0, None), (3.0, 2.0)], ids=["a long time", "longer than the deadline"]
)
async def test_a_time_that_is_too_long_is_told(world: World, told: float, seconds: float | None) -> None:
    first, second = world.open()
    first.always, second.always = busy("a", told), busy("b", told + 1)
    with pytest.raises(Overloaded) as refused:
        await world.ask(seconds=seconds)
    assert refused.value.retry_after == timedelta(seconds=told)
    with pytest.raises(Overloaded):
        await world.ask(seconds=seconds)
    assert (len(first.asked), len(second.asked), world.slept) == (1, 1, [])


async def test_an_outage_does_not_multiply_its_load(world: World) -> None:
    (only,) = world.open(1)
    only.always = failed("a")
    for _ in range(100):
        with pytest.raises(UpstreamFailed):
            await world.ask()
    assert 100 <= len(only.asked) <= 105


def test_the_budget_bounds_repetitions_at_once() -> None:
    budget = RetryBudget()
    for _ in range(3):
        assert budget.has_room
        budget.begin(is_retry=True)
    assert not budget.has_room
    for _ in range(37):
        budget.begin(is_retry=False)
    assert budget.has_room
    budget.end(is_retry=True)


async def test_half_of_the_callers_time_is_kept_for_who_comes_next(world: World) -> None:
    first, second = world.open()
    first.always = failing("a", Again.ELSEWHERE, "timeout")
    first.takes_seconds = 4.0
    await world.ask(seconds=8.0)
    assert (first.seconds, first.others_left) == ([4.0], [True])
    assert (second.seconds, second.others_left) == ([4.0], [False])


async def test_the_silence_that_a_hurried_caller_cuts_is_held_against_nobody(world: World) -> None:
    first, _ = world.open()
    first.always = failing("a", Again.ELSEWHERE, "timeout")
    first.takes_seconds = 0.1
    for _ in range(20):
        await world.ask(seconds=0.2)
    assert world.failover.standing()["a"] is False
    first.takes_seconds = 1.0
    for _ in range(5):
        await world.ask(seconds=8.0)
    assert world.failover.standing()["a"] is True


async def test_a_deadline_that_has_passed_asks_nobody_more(world: World) -> None:
    first, second = world.open()
    first.always = failing("a", Again.ELSEWHERE, "timeout")
    first.takes_seconds = 9.0
    with pytest.raises(DeadlineExceeded):
        await world.ask(seconds=8.0)
    assert second.asked == []


async def test_a_silence_that_the_deadline_ends_is_the_deadlines(world: World) -> None:
    (only,) = world.open(1)
    only.always = failing("a", Again.ELSEWHERE, "timeout")
    only.takes_seconds = 7.99
    with pytest.raises(DeadlineExceeded):
        await world.ask(seconds=8.0)
    with pytest.raises(UpstreamTimeout):
        await world.ask(seconds=9.0)


async def test_who_leaves_owes_what_was_answered_and_what_is_being_worked_on(world: World) -> None:
    first, second = world.open()
    account = Account()
    await world.ask(account=account)
    first.then(failing("a", Again.ELSEWHERE, "connect"))
    second.always = asyncio.Event()
    left = asyncio.ensure_future(world.ask(account=account))
    while not second.asked:
        await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    assert account.owed == {"a": 3, "b": 10}


async def test_parts_of_one_call_that_run_at_once_owe_each_its_own(world: World) -> None:
    first, second = world.open()
    account, answered, failed_at = Account(), asyncio.Event(), asyncio.Event()
    first.then(answered, failed_at)
    second.always = asyncio.Event()
    one, other = (asyncio.ensure_future(world.ask(account=account)) for _ in range(2))
    while len(first.asked) < 2:
        await asyncio.sleep(0)
    answered.set()
    await one
    first.fails = failing("a", Again.ELSEWHERE, "connect")
    failed_at.set()
    while not second.asked:
        await asyncio.sleep(0)
    other.cancel()
    await asyncio.wait([other])
    assert account.owed == {"a": 3, "b": 10}

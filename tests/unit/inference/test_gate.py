"""An upstream's gate on a clock that a test moves: its limits, its queue, and who is shed."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.priority import Priority
from penstock_common.testing.fake_clock import FakeClock, settle
from penstock_inference.domain.load.adaptive_limit import LEAST, Aimd, Gradient2
from penstock_inference.domain.load.allowance import Allowance
from penstock_inference.domain.load.fair_queue import FairQueue, Ticket
from penstock_inference.domain.load.gate import Gate, GateLimits


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def waiting(gate: Gate, tenant: str = "t", priority: Priority = Priority.DEFAULT, tokens: int = 0, seconds: float = 60):
    """Return the task of one that waits."""
    return asyncio.ensure_future(gate.enter(tenant, priority, tokens, seconds))


async def test_as_many_are_inside_as_the_limit_says_and_the_next_comes_when_one_leaves(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=2), clock)
    assert [gate.try_enter(Priority.DEFAULT, 0) for _ in range(3)] == [True, True, False]
    third = waiting(gate)
    await settle()
    assert not third.done()
    gate.leave(0, 0)
    assert await third
    assert gate.in_flight == 2


async def test_a_minutes_requests_come_evenly_after_the_burst(clock: FakeClock) -> None:
    gate = Gate(GateLimits(requests_per_minute=60), clock)
    came = sum(gate.try_enter(Priority.DEFAULT, 0) for _ in range(100))
    assert came == 10
    next_one = waiting(gate)
    await clock.advance(0.9)
    assert not next_one.done()
    await clock.advance(0.2)
    assert await next_one


async def test_a_request_larger_than_the_burst_is_let_in_alone_and_its_tokens_are_corrected(clock: FakeClock) -> None:
    gate = Gate(GateLimits(tokens_per_minute=600), clock)
    assert gate.try_enter(Priority.DEFAULT, 500)
    assert not gate.try_enter(Priority.DEFAULT, 10)
    # It took nothing after all.
    gate.leave(500, 0)
    assert gate.try_enter(Priority.DEFAULT, 10)


async def test_who_would_fit_does_not_overtake_who_waits_for_more(clock: FakeClock) -> None:
    gate = Gate(GateLimits(tokens_per_minute=600), clock)
    assert gate.try_enter(Priority.DEFAULT, 50)
    large = waiting(gate, tokens=90)
    await settle()
    assert not gate.try_enter(Priority.DEFAULT, 10)
    large.cancel()
    await settle()
    assert gate.try_enter(Priority.DEFAULT, 10)


async def test_what_is_kept_for_critical_requests_is_never_the_only_place(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=1), clock)
    assert gate.try_enter(Priority.CRITICAL, 0)
    gate.leave(0, 0)
    assert gate.try_enter(Priority.SHEDDABLE, 0)


async def test_whose_time_passes_is_told_so_and_takes_no_place(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=1), clock)
    assert gate.try_enter(Priority.DEFAULT, 0)
    late = waiting(gate, seconds=2)
    await clock.advance(2.1)
    assert await late is False
    gate.leave(0, 0)
    assert (gate.in_flight, len(gate.queue), gate.shed) == (0, 0, 1)


async def test_who_leaves_the_queue_leaves_nothing_behind_even_when_told_at_that_moment(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=1), clock)
    assert gate.try_enter(Priority.DEFAULT, 0)
    one, other = waiting(gate), waiting(gate)
    await settle()
    gate.leave(0, 0)
    one.cancel()
    await settle()
    assert await other
    assert (gate.in_flight, len(gate.queue)) == (1, 0)


async def test_no_place_is_kept_for_who_left_before_it_could_leave_the_queue(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=1), clock)
    assert gate.try_enter(Priority.DEFAULT, 0)
    gone, next_one = waiting(gate, "gone"), waiting(gate, "next")
    await settle()
    gone.cancel()
    # In the same turn of the loop: the one that is gone has not run since.
    gate.leave(0, 0)
    await settle()
    assert next_one.done()
    assert (gate.in_flight, len(gate.queue)) == (1, 0)


async def test_no_place_is_kept_for_whose_time_has_passed_by_a_timer_that_is_early(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=1), clock)
    assert gate.try_enter(Priority.DEFAULT, 0)
    late = waiting(gate, seconds=1)
    await settle()
    (patience,) = clock.scheduled
    patience()
    gate.leave(0, 0)
    assert await late is False
    assert (gate.in_flight, len(gate.queue)) == (0, 0)


@given(
    st.lists(st.tuples(st.sampled_from(["come", "answer", "cancel", "turn", "time"]), st.integers(0, 7)), max_size=60)
)
async def test_whatever_callers_do_at_the_same_moment_every_place_is_given_back(events: list[tuple[str, int]]) -> None:
    clock = FakeClock()
    gate = Gate(GateLimits(concurrent_requests=2, most_waiting=4), clock)
    callers: list[asyncio.Task[None]] = []
    answered = [asyncio.Event() for _ in range(8)]

    async def call(number: int) -> None:
        if gate.try_enter(Priority.DEFAULT, 0) or await gate.enter(str(number % 2), Priority.DEFAULT, 0, 60):
            try:
                await answered[number].wait()
            finally:
                gate.leave(0, 0)

    for event, number in events:
        match event:
            case "come":
                callers.append(asyncio.ensure_future(call(number)))
            case "answer":
                answered[number].set()
            case "cancel" if number < len(callers):
                callers[number].cancel()
            case "time":
                # Somewhat too early, as timers may be.
                for due in clock.scheduled[:number]:
                    due()
            case _:
                await asyncio.sleep(0)
    await settle()
    gate.close()
    for each in answered:
        each.set()
    await asyncio.gather(*callers, return_exceptions=True)
    assert (gate.in_flight, len(gate.queue), clock.scheduled) == (0, 0, [])


async def test_one_timer_at_a_time_waits_for_room_and_none_once_the_gate_is_closed(clock: FakeClock) -> None:
    gate = Gate(GateLimits(requests_per_minute=60), clock)
    while gate.try_enter(Priority.DEFAULT, 0):
        pass
    several = [waiting(gate) for _ in range(3)]
    await settle()
    # One for each that waits, until its time has passed, and one for all of them.
    assert len(clock.scheduled) == 3 + 1
    gate.close()
    assert await asyncio.gather(*several) == [False] * 3
    assert clock.scheduled == []


async def test_tenants_take_turns_whatever_each_has_waiting(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=1), clock)
    assert gate.try_enter(Priority.DEFAULT, 0)
    many = [waiting(gate, "many") for _ in range(100)]
    await settle()
    few = waiting(gate, "few")
    await settle()
    for _ in range(2):
        gate.leave(0, 0)
        await settle()
    assert few.done()
    assert sum(task.done() for task in many) == 1
    gate.close()
    await asyncio.gather(*many)


async def test_critical_requests_come_first_and_a_fifth_is_kept_for_them_while_they_come(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=10), clock)
    assert all(gate.try_enter(Priority.DEFAULT, 0) for _ in range(10))
    for _ in range(10):
        gate.leave(0, 0)
    assert gate.try_enter(Priority.CRITICAL, 0)
    came = sum(gate.try_enter(Priority.DEFAULT, 0) for _ in range(10))
    assert came == 7
    assert not gate.try_enter(Priority.SHEDDABLE, 0)
    assert gate.try_enter(Priority.CRITICAL, 0)
    await clock.advance(61)
    assert gate.try_enter(Priority.DEFAULT, 0)


async def test_a_full_queue_sheds_the_lowest_class_of_who_has_most(clock: FakeClock) -> None:
    gate = Gate(GateLimits(concurrent_requests=1, most_waiting=3), clock)
    assert gate.try_enter(Priority.DEFAULT, 0)
    shed = [waiting(gate, tenant, Priority.SHEDDABLE) for tenant in ("one", "many", "many")]
    await settle()
    assert await waiting(gate, "late", Priority.SHEDDABLE) is False
    critical = waiting(gate, "one", Priority.CRITICAL)
    await settle()
    assert [task.done() for task in shed] == [False, False, True]
    gate.leave(0, 0)
    assert await critical
    gate.close()
    assert await asyncio.gather(*shed) == [False, False, False]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(list(Priority))), max_size=40))
def test_everybody_who_waits_is_served_once_and_classes_in_their_order(comers: list[tuple[str, Priority]]) -> None:
    queue = FairQueue(most=100)
    tickets = [Ticket(tenant, priority, 10.0, 0, lambda _: True) for tenant, priority in comers]
    assert all(queue.push(ticket) for ticket in tickets)
    served: list[Ticket] = []
    while (ticket := queue.first(0.0)) is not None:
        queue.pop(ticket)
        served.append(ticket)
    assert sorted(map(id, served)) == sorted(map(id, tickets))
    assert [ticket.priority for ticket in served] == sorted(ticket.priority for ticket in tickets)
    assert len(queue) == 0


@pytest.mark.parametrize(("now", "next_one"), [(9.9, "hasty"), (10.0, "patient"), (20.0, None)])
def test_whose_time_has_passed_is_not_next_though_nobody_told_it(now: float, next_one: str | None) -> None:
    queue = FairQueue(most=100)
    for tenant, due in (("hasty", 10.0), ("patient", 20.0)):
        queue.push(Ticket(tenant, Priority.DEFAULT, due, 0, lambda _: True))
    first = queue.first(now)
    assert (first.tenant if first is not None else None) == next_one
    assert len(queue) == (now < 10) + (now < 20)


@given(st.integers(1, 10_000), st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_no_minute_sees_more_than_the_allowance_and_its_burst(per_minute: int, gaps: list[float]) -> None:
    now, taken = 0.0, []
    allowance = Allowance(per_minute, now)
    for gap in gaps:
        now += gap
        while not allowance.wait_seconds(1, now) and len(taken) < 3000:
            allowance.take(1, now)
            taken.append(now)
    burst = max(1, per_minute / 6)
    for start in set(taken):
        assert sum(start <= at < start + 60 for at in taken) <= per_minute + burst + 1


def test_a_limit_falls_by_a_tenth_at_a_refusal_and_rises_only_while_it_is_used() -> None:
    limit = Aimd(initial=100)
    limit.refused()
    assert limit.value == pytest.approx(90)
    limit.answered(1.0, in_flight=3)
    assert limit.value == pytest.approx(90)
    for _ in range(90):
        limit.answered(1.0, in_flight=80)
    assert 90.9 < limit.value < 91.1
    for _ in range(100):
        limit.refused()
    assert limit.value == LEAST


def test_a_gpu_that_gets_slow_is_asked_less_and_more_again_when_it_is_fast() -> None:
    limit = Gradient2(initial=50)
    for _ in range(200):
        limit.answered(0.1, in_flight=50)
    quick = limit.value
    assert quick > 50
    for _ in range(20):
        limit.answered(1.0, in_flight=int(limit.value))
    slow = limit.value
    assert slow < quick / 2
    for _ in range(200):
        limit.answered(0.1, in_flight=int(limit.value))
    assert limit.value > slow * 2

"""Limits counted in a real Redis: shared, exactly once, and survived."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from penstock_common import redis_connection
from penstock_common.background import background_work
from penstock_common.errors import Overloaded
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.redis_server import RedisServer
from penstock_gateway.adapters.counting import in_redis
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.adapters.counting.in_redis import RedisLimiter, Terms, open_limiter
from penstock_gateway.domain.limits.admission import Demand, Used
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import NOW, PER_DAY, PER_MINUTE, TOTAL, Window, WindowKind
from penstock_suite.adapters.redis_server import redis_command

LEASE = timedelta(seconds=600)
PATIENT = timedelta(seconds=30)
SHORT = timedelta(milliseconds=50)
USD = 1_000_000_000
KEYS = "{t:t}:limits:"


def limit(measure, amount, window=PER_MINUTE, scope=TENANT, tenant="t", **more):
    return Limit(tenant, scope, Allowance(measure, window, amount), str(measure), **more)


def requests(amount, window=PER_DAY, **more):
    """Of a day, so that nothing drains while a test runs."""
    return limit(Measure.REQUESTS, amount, window, **more)


def tokens(amount, **more):
    return limit(Measure.TOKENS, amount, PER_DAY, **more)


def at_once(amount, **more):
    return limit(Measure.CONCURRENT, amount, NOW, **more)


def money(usd, window=TOTAL, **more):
    return limit(Measure.SPEND, int(usd * USD), window, **more)


class History:
    def __init__(self, spent=0):
        self.amount, self.asked = spent, 0

    async def spent(self, tenant, scope, period):
        self.asked += 1
        await asyncio.sleep(0)
        if self.amount is None:
            raise ConnectionError("no database")
        return self.amount


@pytest.fixture
async def connect(redis_server, monkeypatch):
    """A maker of limiters, each with a connection of its own, as two gateways have."""
    monkeypatch.setattr(redis_connection, "_COOL_DOWN_SECONDS", 0.02)
    async with AsyncExitStack() as stack:
        in_background = await stack.enter_async_context(background_work())

        async def make(timeout=PATIENT, history=None, **terms):
            connection = await stack.enter_async_context(RedisConnection(redis_server.url, timeout))
            return RedisLimiter(connection, Terms(**terms), history, in_background=in_background)

        yield make


async def ask(limiter, limits, demand=None, name=None, lease=LEASE):
    ask.number += 1
    return await limiter.reserve(name or f"r{ask.number}", "t", limits, demand or Demand(), lease)


ask.number = 0


async def let_in(limiter, limits, times, demand=None):
    """Return how many of so many requests are let in."""
    verdicts = [await ask(limiter, limits, demand) for _ in range(times)]
    return sum(verdict.reservation is not None for verdict in verdicts)


async def remaining(limiter, limits):
    return [each.remaining for each in await limiter.standings(limits)]


async def until(condition, interval=0.005):
    """Wait for what another process does by its own clock."""
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(interval)


async def settled(limiter):
    """Wait until Redis has confirmed everything that it was told."""

    async def is_heard():
        await limiter.answers()
        limiter._teller.send_old()
        return not limiter._teller.owed

    await until(is_heard)


async def test_three_gateways_let_in_exactly_the_limit(connect):
    gateways = [await connect() for _ in range(3)]
    for limits in ((requests(100),), (at_once(100),), (tokens(1_000),), (money(1),)):
        demand = Demand(10, USD // 100, USD // 100)
        verdicts = await asyncio.gather(*(ask(each, limits, demand) for _ in range(100) for each in gateways))
        assert sum(verdict.reservation is not None for verdict in verdicts) == 100
        assert min(verdict.standings[0].remaining for verdict in verdicts) == 0


async def test_numbers_say_where_the_tenant_stands(connect):
    limiter = await connect()
    limits = (limit(Measure.REQUESTS, 600), tokens(1_000), at_once(4), money(1))
    verdict = await ask(limiter, limits, Demand(100, USD // 10, USD))
    of_requests, of_tokens, running, spend = verdict.standings
    assert (of_requests.remaining, of_requests.reset) == (599, timedelta(seconds=0.1))
    assert (of_tokens.remaining, of_tokens.reset) == (900, timedelta(seconds=8_640))
    assert (running.remaining, running.reset) == (3, timedelta())
    ceiling = USD // 10 + (9 * USD // 10) // 8 // 2
    assert verdict.reservation.ceiling == ceiling
    assert (spend.spent, spend.reserved, spend.remaining) == (0, ceiling, USD - ceiling)
    assert spend.reset == timedelta.max


async def test_what_is_refused_is_refused_as_in_memory(connect):
    limiter = await connect()
    await ask(limiter, (requests(1),))
    refused = await ask(limiter, (requests(1),))
    assert timedelta(hours=23) < refused.retry_after <= timedelta(hours=24)
    for limits, demand in [((tokens(10),), Demand(11)), ((requests(0),), Demand()), ((at_once(0),), Demand())]:
        never = await ask(limiter, limits, demand)
        assert never.refused_by and never.retry_after is None
    held = await ask(limiter, (money(1),), Demand(0, USD, USD))
    refused = await ask(limiter, (money(1),), Demand(0, 1, 1))
    assert refused.held_by_others and refused.retry_after == timedelta(seconds=2)
    limiter.settle(held.reservation, Used(0, USD))
    await settled(limiter)
    refused = await ask(limiter, (money(1),), Demand(0, 1, 1))
    assert refused.retry_after is None and not refused.held_by_others
    assert (await ask(limiter, (money(1),), Demand())).reservation.ceiling == 0


async def test_refusal_leaves_no_residue(connect, redis_server):
    limiter = await connect()
    limits = (requests(9), tokens(90), money(1), at_once(9), at_once(1, scope=Scope(ScopeKind.KEY, "k")))
    await ask(limiter, limits, Demand(1, 1, 1))
    with redis_server.client() as client:
        before = {key: client.hgetall(key) for key in client.keys(KEYS + "c:*")}
        for _ in range(5):
            assert (await ask(limiter, limits, Demand(1, 1, 1))).refused_by[0].limit is limits[-1]
        assert {key: client.hgetall(key) for key in client.keys(KEYS + "c:*")} == before


async def test_no_limits_leave_nothing_in_redis(connect, redis_server):
    limiter = await connect()
    verdict = await ask(limiter, ())
    assert not verdict.refused_by and verdict.reservation is None
    with redis_server.client() as client:
        assert client.dbsize() == 0


async def test_settling_is_once_whoever_repeats_it(connect):
    first, second = await connect(), await connect()
    limits = (requests(5), tokens(100), at_once(2), money(1))
    reservation = (await ask(first, limits, Demand(50, 1_000, 1_000))).reservation
    for limiter in (first, first, second):
        limiter.settle(reservation, Used(20, 300))
        await settled(limiter)
        limiter.cancel(reservation)
        await settled(limiter)
    assert await remaining(second, limits) == [4, 80, 2, USD - 300]


async def test_cancelling_gives_everything_back(connect):
    first, second = await connect(), await connect()
    limits = (requests(1), tokens(10), at_once(1), money(1))
    reservation = (await ask(first, limits, Demand(10, USD, USD))).reservation
    for limiter in (first, second):
        limiter.cancel(reservation)
        await settled(limiter)
    assert await remaining(second, limits) == [1, 10, 1, USD]


async def test_hard_budget_is_not_overrun_by_extensions_of_several_gateways(connect):
    gateways = [await connect() for _ in range(3)]
    limits = (money(1), money(2, scope=Scope(ScopeKind.TEAM, "x")), money(0.001, shadow=True))
    reservations = [
        (await ask(each, limits, Demand(0, USD // 1_000, USD))).reservation for each in gateways for _ in range(30)
    ]
    granted = await asyncio.gather(*(gateways[at % 3].extend(each, USD // 50) for at, each in enumerate(reservations)))
    of_own = [gateways[at // 30] for at in range(90)]
    granted = [
        more + await limiter.extend(each, USD // 50)
        for limiter, each, more in zip(of_own, reservations, granted, strict=True)
    ]
    ceilings = [each.ceiling + more for each, more in zip(reservations, granted, strict=True)]
    assert sum(ceilings) <= USD and await remaining(gateways[0], limits) == [
        USD - sum(ceilings),
        2 * USD - sum(ceilings),
        0,
    ]
    for limiter, each, ceiling in zip(of_own, reservations, ceilings, strict=True):
        limiter.settle(each, Used(0, ceiling))
    for limiter in gateways:
        await settled(limiter)
    standings = await gateways[0].standings(limits)
    assert [(each.spent, each.reserved) for each in standings] == [(sum(ceilings), 0)] * 3


async def test_shadow_counts_apart_and_refuses_nothing(connect):
    limiter = await connect()
    limits = (requests(3), at_once(1, shadow=True), money(1, shadow=True), requests(1, shadow=True))
    assert (await ask(limiter, limits, Demand(0, 5, 5))).shadowed == ()
    second = await ask(limiter, limits, Demand(0, 2 * USD, 2 * USD))
    assert [each.limit for each in second.shadowed] == [*limits[1:]]
    assert second.reservation.ceiling is None and await limiter.extend(second.reservation, 9) == 9


async def test_another_amount_keeps_what_is_used(connect):
    limiter = await connect()
    await let_in(limiter, (requests(10),), 4)
    assert (await ask(limiter, (requests(20),))).standings[0].remaining == 15
    assert (await ask(limiter, (requests(2),))).refused_by[0].remaining == 0


async def test_place_of_a_dead_process_comes_back_when_its_lease_ends(connect):
    limiter = await connect()
    limits = (at_once(1), money(1))
    verdict = await ask(limiter, limits, Demand(0, USD, USD), lease=timedelta(milliseconds=300))
    assert (await ask(limiter, limits)).refused_by

    async def is_free():
        return (await ask(limiter, limits, Demand(0, 1, 1))).reservation is not None

    await until(is_free)
    limiter.settle(verdict.reservation, Used(0, 700))
    await settled(limiter)
    assert (await limiter.standings(limits))[1].spent == 700


async def test_lease_in_redis_is_short_and_renewed_while_the_process_lives(connect, redis_server):
    limiter = await connect()
    await ask(limiter, (at_once(1),), name="long", lease=timedelta(hours=1))
    with redis_server.client() as client:
        before = client.zscore(KEYS + "leases", "long")
        held = limiter._tenants["t"].open["long"]
        held.renew_us = 0
        await limiter.beat()
        after = client.zscore(KEYS + "leases", "long")
        seconds, microseconds = client.time()
    assert before < after <= seconds * 1_000_000 + microseconds + 30_000_000


def end_leases(redis_server):
    """Have all leases be over, as after a Redis that was away for longer than they last."""
    with redis_server.client() as client:
        client.zadd(KEYS + "leases", dict.fromkeys(client.zrange(KEYS + "leases", 0, -1), 1))


async def test_what_goes_on_is_held_again_when_its_lease_has_ended(connect, redis_server):
    limiter, other = await connect(), await connect()
    limits = (at_once(1), money(1))
    long = (await ask(limiter, limits, Demand(0, USD // 2, USD // 2), "long")).reservation
    end_leases(redis_server)
    assert await remaining(other, limits) == [1, USD]
    limiter._tenants["t"].open["long"].renew_us = 0
    await limiter.beat()
    assert await remaining(other, limits) == [0, USD // 2]
    assert await limiter.extend(long, USD) == USD // 2
    limiter.settle(long, Used(0, 700))
    await settled(limiter)
    running, spend = await other.standings(limits)
    assert (running.remaining, spend.spent, spend.reserved) == (1, 700, 0)


async def test_after_redis_was_away_for_longer_than_leases_last_what_goes_on_keeps_its_ceiling(connect, redis_server):
    limiter, other = await connect(SHORT), await connect()
    await until(limiter.answers)
    limits = (at_once(3), money(1))
    long = (await ask(limiter, limits, Demand(0, USD // 2, USD // 2), "long")).reservation
    with redis_server.paused():
        assert (await ask(limiter, limits)).reservation
    await until(other.answers)
    end_leases(redis_server)
    await until(limiter.answers)
    await limiter.beat()
    assert await remaining(other, limits) == [1, USD // 2]
    assert await limiter.extend(long, USD // 4) == USD // 4


async def test_questions_are_not_remembered_in_the_place_of_what_requests_need(connect, redis_server):
    limiter, memory = await connect(SHORT, History(0)), InMemoryLimiter(history=History(0))
    await until(limiter.answers)
    limits = (requests(9), money(1))
    for each, known in ((limiter, limiter._plans), (memory, memory._prepared)):
        await ask(each, limits)
        before = known.all()
        for _ in range(3):
            await each.standings([*limits])
            await each.rebuild([*limits])
        assert known.all() == before and len(before) == 1
    with redis_server.paused():
        await ask(limiter, limits)
        alone = limiter._alone
        await limiter.standings([*limits])
        assert len(alone._limits) == 1


async def test_nothing_that_is_counted_lives_for_ever(connect, redis_server):
    limiter = await connect(SHORT)
    limits = (requests(5), tokens(9), at_once(5), money(1))
    await ask(limiter, limits, Demand(1, 1, 1))
    with redis_server.paused():
        await ask(limiter, limits, Demand(1, 1, 1))
    await until(limiter.answers)
    await ask(limiter, limits, Demand(1, 1, 1))
    await limiter.beat()
    with redis_server.client() as client:
        lives = {key: client.pttl(key) for key in client.keys("*")}
        longest = 35 * 86_400_000
        assert [key for key, life in lives.items() if not 0 < life <= longest] == []
        assert len(lives) == 8


async def test_caller_who_leaves_while_redis_is_asked_holds_nothing(connect, redis_server):
    limiter = await connect()
    limits = (requests(5), at_once(5))
    await ask(limiter, limits, name="first")
    with redis_server.paused():
        asking = asyncio.create_task(ask(limiter, limits, name="gone"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await settled(limiter)
    assert await remaining(limiter, limits) == [4, 4]


async def test_budget_goes_on_from_what_the_ledger_says_and_asks_once(connect):
    history = History(USD - 50)
    first, second = await connect(history=history), await connect(history=history)
    limits = (money(1, Window(WindowKind.MONTH)),)
    verdicts = await asyncio.gather(*(ask(first, limits, Demand(0, 10, 10)) for _ in range(20)))
    assert sum(verdict.reservation is not None for verdict in verdicts) == 5
    assert (await ask(second, limits, Demand(0, 10, 10))).held_by_others
    assert history.asked == 1


async def test_account_is_rebuilt_from_the_ledger_and_reservations_stay(connect):
    history = History(100)
    limiter = await connect(history=history)
    limits = (money(1), requests(5))
    await ask(limiter, limits, Demand(0, 50, 50))
    history.amount = 30
    await limiter.rebuild(limits)
    spend, _ = await limiter.standings(limits)
    assert (spend.spent, spend.reserved) == (30, 50)


async def test_what_is_settled_while_an_account_is_rebuilt_stays(connect):
    class Asked(History):
        async def spent(self, tenant, scope, period):
            booked = await super().spent(tenant, scope, period)
            if self.asked == 2:
                limiter.settle(reservation, Used(0, 100))
                await settled(limiter)
            return booked

    history = Asked(0)
    limiter = await connect(history=history)
    limits = (money(1),)
    reservation = (await ask(limiter, limits, Demand(0, 500, 500))).reservation
    history.amount = 70
    await limiter.rebuild(limits)
    (spend,) = await limiter.standings(limits)
    assert (spend.spent, spend.reserved) == (170, 0)


async def test_an_account_that_redis_forgets_while_it_is_rebuilt_begins_with_the_ledger(connect, redis_server):
    class Asked(History):
        async def spent(self, tenant, scope, period):
            booked = await super().spent(tenant, scope, period)
            if self.asked == 2:
                with redis_server.client() as client:
                    client.flushall()
                await limiter.standings(limits)
            return booked

    history = Asked(100)
    limiter = await connect(history=history)
    limits = (money(1),)
    await limiter.standings(limits)
    history.amount = 30
    await limiter.rebuild(limits)
    assert [each.spent for each in await limiter.standings(limits)] == [30]


async def test_without_redis_money_waits_where_that_is_set(connect, redis_server):
    strict = await connect(SHORT, budgets_without_redis="closed")
    limits = (money(1), requests(9))
    await until(strict.answers)
    long = (await ask(strict, limits, Demand(0, 10, 10))).reservation
    with redis_server.paused():
        with pytest.raises(Overloaded):
            await ask(strict, limits, Demand(0, 10, 10))
        assert await strict.extend(long, 1) == 0
        assert (await ask(strict, limits)).reservation
        assert (await ask(strict, limits[1:], Demand(0, 10, 10))).reservation
    await until(strict.answers)
    await strict.beat()
    await settled(strict)
    assert [each.reserved for each in await strict.standings(limits)] == [10, 0]


async def test_budget_of_which_nothing_is_known_admits_nothing(connect):
    limiter = await connect(history=History(None))
    with pytest.raises(Overloaded):
        await ask(limiter, (money(1),), Demand(0, 1, 1))
    assert (await ask(limiter, (requests(1),))).reservation


async def test_redis_that_has_forgotten_is_told_everything(connect, redis_server):
    """By each gateway what it holds and has heard; what was spent, by the ledger."""
    history = History(0)
    first, second = await connect(history=history), await connect(history=history)
    limits = (requests(10), tokens(1_000), at_once(5), money(1))
    done = (await ask(first, limits, Demand(100, 500, 500))).reservation
    first.settle(done, Used(100, 500))
    await settled(first)
    going_on = (await ask(first, limits, Demand(100, USD // 2, USD // 2))).reservation
    other = (await ask(second, limits, Demand(100, USD // 4, USD // 4))).reservation
    history.amount = 500
    with redis_server.client() as client:
        client.flushall()
    await ask(second, limits, Demand(100, 1_000, 1_000))
    await first.beat()
    assert await remaining(second, limits) == [6, 600, 2, USD - 500 - USD // 2 - USD // 4 - 1_000]
    first.settle(going_on, Used(50, 300))
    second.settle(other, Used(50, 200))
    await settled(first)
    await settled(second)
    standing = (await second.standings(limits))[-1]
    assert (standing.spent, standing.reserved) == (1_000, 1_000)


async def test_after_redis_has_forgotten_budgets_wait_for_what_others_hold(connect, redis_server):
    first, second = await connect(processes=2), await connect(processes=2)
    limits = (money(1), requests(9))
    await ask(first, limits, Demand(0, USD, USD))
    await ask(second, limits)
    with redis_server.client() as client:
        client.flushall()
    held = await ask(second, limits, Demand(0, 1, 1))
    assert held.held_by_others and [each.limit for each in held.refused_by] == [limits[0]]
    assert (await ask(second, limits)).reservation


async def test_paused_redis_grants_no_fresh_allowance(connect, redis_server):
    limiter = await connect(SHORT)
    await until(limiter.answers)
    limits = (requests(10), money(1))
    tenth = Demand(0, USD // 10, USD // 10)
    assert await let_in(limiter, limits, 6, tenth) == 6
    with redis_server.paused():
        assert await let_in(limiter, limits, 20, tenth) == 4
        refused = await ask(limiter, limits)
        assert [each.limit for each in refused.refused_by] == [limits[0]]
        assert refused.refused_by[0].remaining == 0 and refused.retry_after > timedelta(0)
        assert limiter.mode == "share"
    await until(limiter.answers)
    assert await let_in(limiter, limits, 20, tenth) == 0
    assert limiter.mode == "exact"
    assert (await limiter.standings(limits))[1].reserved == USD


async def test_redis_that_comes_and_goes_grants_nothing_twice(connect, redis_server):
    limiter, patient = await connect(SHORT), await connect()
    await until(limiter.answers)
    limits = (requests(20), money(1))
    twentieth = Demand(0, USD // 20, USD // 20)
    admitted = await let_in(limiter, limits, 2, twentieth)
    for _ in range(4):
        with redis_server.paused():
            admitted += await let_in(limiter, limits, 3, twentieth)
        await until(limiter.answers)
        admitted += await let_in(limiter, limits, 1, twentieth)
    # The other gateway knows what was let in without Redis.
    admitted += await let_in(patient, limits, 20, twentieth)
    assert admitted == 20
    assert (await patient.standings(limits))[1].reserved == USD


async def test_what_others_took_is_taken_while_redis_is_away(connect, redis_server):
    limiter, other = await connect(SHORT), await connect()
    await until(limiter.answers)
    limits = (requests(10), at_once(10), money(1))
    tenth = Demand(0, USD // 10, USD // 10)
    assert await let_in(other, limits, 7, tenth) == 7
    assert await let_in(limiter, limits, 1, tenth) == 1
    with redis_server.paused():
        assert await let_in(limiter, limits, 10, tenth) == 2


async def test_processes_that_are_known_share_what_is_left(connect, redis_server):
    gateways = [await connect(SHORT) for _ in range(3)]
    limits = (requests(100), money(1))
    hundredth = Demand(0, USD // 100, USD // 100)
    for limiter in gateways:
        await until(limiter.answers)
    assert await let_in(gateways[0], limits, 10, hundredth) == 10
    for limiter in gateways:
        await let_in(limiter, limits, 0)
        await ask(limiter, limits, hundredth)
    for _ in range(2):
        for limiter in gateways:
            await limiter.beat()
    assert [limiter._processes.count for limiter in gateways] == [3, 3, 3]
    with redis_server.paused():
        admitted = [await let_in(limiter, limits, 100, hundredth) for limiter in gateways]
        # What is let in at the most: what was left when each last heard of it, divided by three.
        assert all(27 <= of_one <= 30 for of_one in admitted) and sum(admitted) <= 90
    for limiter in gateways:
        await until(limiter.answers)
        await limiter.beat()
    (of_requests, of_money) = await gateways[0].standings(limits)
    # What drained meanwhile may be told a hair too high, never too low.
    assert 0 <= 100 - 13 - sum(admitted) - of_requests.remaining <= 1
    assert of_money.reserved == USD // 100 * (13 + sum(admitted))


async def test_without_redis_nothing_or_everything_is_let_in_where_that_is_set(connect, redis_server):
    closed, everything = await connect(SHORT, without_redis="closed"), await connect(SHORT, without_redis="open")
    limits = (requests(2), money(1))
    await until(closed.answers)
    await until(everything.answers)
    with redis_server.paused():
        with pytest.raises(Overloaded):
            await ask(closed, limits)
        assert closed.mode == "closed"
        assert await let_in(everything, limits, 9, Demand(0, USD, 3 * USD)) == 9
        last = (await ask(everything, limits, Demand(0, USD, 3 * USD))).reservation
        assert await everything.extend(last, USD) == USD
        everything.settle(last, Used(0, 4 * USD))
    await until(everything.answers)
    await everything.beat()
    await settled(everything)
    assert (await everything.standings(limits))[1].spent == 4 * USD


async def test_long_answer_goes_on_with_its_share_while_redis_is_away(connect, redis_server):
    limiter = await connect(SHORT, processes=2)
    await until(limiter.answers)
    limits = (money(1),)
    long = (await ask(limiter, limits, Demand(0, USD // 10, USD // 10))).reservation
    with redis_server.paused():
        assert await limiter.extend(long, USD) == 9 * USD // 10 // 2
        assert await limiter.extend(long, 1) == 0
    await until(limiter.answers)
    await limiter.beat()
    (standing,) = await limiter.standings(limits)
    assert standing.reserved == USD // 10 + 9 * USD // 10 // 2
    limiter.settle(long, Used(0, USD // 2))
    await settled(limiter)
    (standing,) = await limiter.standings(limits)
    assert (standing.spent, standing.reserved) == (USD // 2, 0)


async def test_what_ended_while_redis_was_away_is_told_once_it_is_back(connect, redis_server):
    limiter, other = await connect(SHORT), await connect()
    await until(limiter.answers)
    limits = (requests(10), tokens(1_000), at_once(2), money(1))
    before = (await ask(limiter, limits, Demand(100, 1_000, 1_000))).reservation
    with redis_server.paused():
        during = (await ask(limiter, limits, Demand(100, 1_000, 1_000))).reservation
        assert (await ask(limiter, limits)).refused_by
        limiter.settle(before, Used(10, 300))
        limiter.settle(during, Used(20, 400))
        limiter.settle(during, Used(20, 400))
        cancelled = (await ask(limiter, limits, Demand(100, 1_000, 1_000))).reservation
        limiter.cancel(cancelled)
    await until(limiter.answers)
    await limiter.beat()
    await settled(limiter)
    assert await remaining(other, limits) == [8, 970, 2, USD - 700]
    assert (await other.standings(limits))[-1].spent == 700


async def test_what_ends_while_redis_is_told_what_was_let_in_without_it_is_told_too(connect, redis_server, monkeypatch):
    limiter, other = await connect(SHORT), await connect()
    await until(limiter.answers)
    limits = (at_once(9), money(1))
    with redis_server.paused():
        names = ("first", "second", "third")
        first, second, third = [(await ask(limiter, limits, Demand(0, 100, 100), name)).reservation for name in names]
        limiter.settle(first, Used(0, 10))
    ends = {"first": lambda: limiter.settle(second, Used(0, 20)), "third": lambda: limiter.settle(third, Used(0, 40))}
    asserting = limiter._teller._assert

    async def assert_and_end(held):
        was_new = await asserting(held)
        ends.pop(held.id, lambda: None)()
        return was_new

    monkeypatch.setattr(limiter._teller, "_assert", assert_and_end)
    await until(limiter.answers)
    await limiter.beat()
    await settled(limiter)
    running, spend = await other.standings(limits)
    assert not ends and (running.remaining, spend.spent, spend.reserved) == (9, 70, 0)


async def test_request_that_asks_again_after_a_lost_answer_is_settled(connect, redis_server):
    limiter, other = await connect(SHORT), await connect()
    await until(limiter.answers)
    limits = (at_once(9), money(1))
    await ask(limiter, limits, Demand(0, USD, USD), "before")
    with redis_server.paused():
        # It is not known whether Redis let it in: it is told that nothing came of it.
        assert (await ask(limiter, limits, Demand(0, 100, 100), "same")).refused_by
        again = (await ask(limiter, limits, Demand(0, 0, 0), "same")).reservation
        limiter.settle(again, Used(0, 7))
    await until(limiter.answers)
    await limiter.beat()
    await settled(limiter)
    running, spend = await other.standings(limits)
    assert (running.remaining, spend.spent, spend.reserved) == (8, 7, USD)


async def test_redis_that_crashed_knows_who_went_on_and_counts_no_cost_twice(connect, redis_server):
    history = History(0)
    limiter, other = await connect(SHORT, history), await connect(SHORT, history)
    limits = (at_once(3), money(1))
    await until(limiter.answers)
    first = (await ask(limiter, limits, Demand(0, 100, 100), "before")).reservation
    redis_server.crash()
    during = (await ask(limiter, limits, Demand(0, 100, 100), "during")).reservation
    alone = (await ask(limiter, limits, Demand(0, 100, 100), "alone")).reservation
    limiter.settle(first, Used(0, 20))
    limiter.settle(alone, Used(0, 40))
    # By the time that Redis is back the ledger has them.
    for owed in limiter._teller.owed.values():
        owed.at_us -= 5_000_000
    history.amount = 60
    redis_server.start()
    await until(limiter.answers)
    await until(other.answers)
    await limiter.beat()
    await ask(limiter, limits, Demand(0, 100, 100), "after")
    await settled(limiter)
    running, spend = await other.standings(limits)
    assert (running.remaining, spend.spent, spend.reserved) == (1, 60, 200)
    limiter.settle(during, Used(0, 5))
    await settled(limiter)
    running, spend = await other.standings(limits)
    assert (running.remaining, spend.spent, spend.reserved) == (2, 65, 100)


async def test_redis_that_is_known_to_be_away_is_not_asked(connect, redis_server, monkeypatch):
    monkeypatch.setattr(redis_connection, "_COOL_DOWN_SECONDS", 3600.0)
    limiter = await connect(SHORT)
    await until(limiter.answers)
    limits = (requests(100),)
    with redis_server.paused():
        await ask(limiter, limits)
        # No timer runs: this is answered without giving the loop up.
        waits = ask(limiter, limits)
        with pytest.raises(StopIteration):
            waits.send(None)


async def test_settlements_that_redis_never_heard_are_bounded(connect, redis_server, monkeypatch):
    from penstock_gateway.adapters.counting import telling

    monkeypatch.setattr(telling, "MAX_OWED", 3)
    limiter = await connect(SHORT)
    await until(limiter.answers)
    limits = (money(1),)
    with redis_server.paused():
        for number in range(6):
            limiter.settle((await ask(limiter, limits, Demand(0, 1, 1), f"{number}")).reservation, Used(0, 1))
        assert list(limiter._teller.owed) == ["3", "4", "5"]


async def test_suite_without_a_redis_counts_in_its_memory():
    async with open_limiter("", PATIENT, Terms(), None) as limiter:
        assert (await ask(limiter, (requests(1),))).reservation
        assert limiter.mode == "exact"


async def test_processes_say_that_they_are_there_and_gone(redis_server):
    async with open_limiter(redis_server.url, PATIENT, Terms(), None) as limiter:
        await ask(limiter, (requests(1),))

        async def is_there():
            with redis_server.client() as client:
                return client.zcard("penstock:limits:counting") == 1

        await until(is_there)
    with redis_server.client() as client:
        assert client.zcard("penstock:limits:counting") == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_process_that_ends_tells_first_what_redis_has_not_heard(connect, redis_server, monkeypatch, fails):
    monkeypatch.setattr(in_redis, "LAST_WORDS_SECONDS", 60.0)
    other, limits = await connect(), (at_once(2), money(1))
    with suppress(ExceptionGroup):
        async with open_limiter(redis_server.url, SHORT, Terms(), None) as limiter:
            await until(limiter.answers)
            with redis_server.paused():
                limiter.settle((await ask(limiter, limits, Demand(0, 100, 100))).reservation, Used(0, 70))
            if fails:
                raise LookupError
    running, spend = await other.standings(limits)
    assert (running.remaining, spend.spent, spend.reserved) == (2, 70, 0)
    with redis_server.client() as client:
        assert client.zcard("penstock:limits:counting") == 0


async def test_process_that_ends_waits_for_no_redis_that_is_away(connect, redis_server, monkeypatch):
    monkeypatch.setattr(in_redis, "LAST_WORDS_SECONDS", 0.0)
    with redis_server.paused(), capture_logs() as logs:
        async with open_limiter(redis_server.url, SHORT, Terms(), None) as limiter:
            limiter.settle((await ask(limiter, (requests(2),))).reservation, Used())
    assert [log["count"] for log in logs if log["event"] == "limits_settlement_lost"] == [1]


async def test_a_local_redis_that_is_full_gives_up_cached_answers_and_never_a_count(tmp_path):
    said = redis_command(Path("redis-server"), tmp_path, tmp_path / "redis.sock").argv
    policy = [text for name in ("--maxmemory-policy", "--maxmemory-samples") for text in (name, _after(said, name))]
    limits = (requests(2), at_once(2))
    with RedisServer(*policy, "--maxmemory", "4mb") as server:
        async with open_limiter(server.url, PATIENT, Terms(), None) as limiter:
            assert await let_in(limiter, limits, 2) == 2
            with server.client() as client:
                for number in range(3_000):
                    client.set(f"{{t:x}}:cache:exact:{number}", b"x" * 4_000, px=3_600_000)
                assert client.info("stats")["evicted_keys"] > 1_000
                assert min(client.pttl(key) for key in client.scan_iter("*{t:t}:limits*")) > 3_600_000
            assert [each.limit for each in (await ask(limiter, limits)).refused_by] == [*limits]


def _after(argv, name):
    return argv[argv.index(name) + 1]

"""Whatever happens in whatever order: no budget overrun, no window overfull, every reservation ends, sums agree.

The same machine drives both limiters, with a model that knows what was truly admitted and spent. Beside a real Redis it
loses replies, takes Redis away, empties it, and kills gateways, whose clocks are two seconds apart.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from penstock_common.background import background_work
from penstock_common.errors import Overloaded
from penstock_common.redis_connection import RedisConnection, RedisUnavailable
from penstock_common.testing.redis_server import RedisServer
from penstock_gateway.adapters.counting import scripts
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.adapters.counting.in_redis import RedisLimiter, Terms
from penstock_gateway.domain.limits.admission import Demand, Reservation, Used
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import NOW, TOTAL, Window, WindowKind, period_of

LEASE = 20
START = datetime(2026, 10, 24, 21, 58, tzinfo=UTC)  # two minutes before midnight in Berlin; the next day has 25 hours
RATE, BURST, MINUTE = 6, 3, 60


def limit(measure, amount, window, scope=TENANT, burst=0, shadow=False):
    return Limit("t", scope, Allowance(measure, window, amount, burst), str(measure), shadow)


REQUESTS = limit(Measure.REQUESTS, RATE, Window(WindowKind.ROLLING, MINUTE), burst=BURST)
TOKENS = limit(Measure.TOKENS, 100, Window(WindowKind.ROLLING, MINUTE))
AT_ONCE = limit(Measure.CONCURRENT, 4, NOW)
EVER = limit(Measure.SPEND, 3_000, TOTAL)
DAY = limit(Measure.SPEND, 1_000, Window(WindowKind.DAY, zone="Europe/Berlin"), Scope(ScopeKind.TEAM, "x"))
SHADOW = limit(Measure.SPEND, 10, TOTAL, shadow=True)
SETS = [(REQUESTS,), (EVER, DAY, SHADOW), (AT_ONCE, EVER, SHADOW), (REQUESTS, TOKENS, AT_ONCE, EVER, DAY, SHADOW)]

VERBS = (
    scripts.RESERVE, scripts.END, scripts.EXTEND, scripts.ASSERT, scripts.TELL, scripts.SEED, scripts.RENEW, scripts.BEAT,
)  # fmt: skip


def set_clock(client, microseconds):
    """Set the time that scripts see, once ``stop_clock`` was called."""
    client.mset({"test:seconds": microseconds // 1_000_000, "test:microseconds": microseconds % 1_000_000})


def stop_clock(monkeypatch):
    """Have every script read the time that was set."""
    for script in VERBS:
        source = script.source.replace("redis.call('TIME')", "redis.call('MGET', 'test:seconds', 'test:microseconds')")
        assert source != script.source
        monkeypatch.setattr(script, "source", source)
        monkeypatch.setattr(script, "digest", sha1(source.encode(), usedforsecurity=False).hexdigest())


class Line:
    """A connection to a real Redis that fails when it is told to."""

    def __init__(self, connection):
        self._connection = connection
        self.is_away = False
        self.loses_next = False

    async def execute(self, *command):
        self._fail()
        return await self._connection.execute(*command)

    async def run(self, script, keys, *arguments):
        self._fail()
        reply = await self._connection.run(script, keys, *arguments)
        if self.loses_next:
            self.loses_next = False
            error = RedisUnavailable("the reply was lost")
            error.may_be_done = True
            raise error
        return reply

    def send_script(self, script, keys, *arguments, heard=None):
        if self.is_away:
            return False
        if self.loses_next:
            self.loses_next, heard = False, None
        return self._connection.send_script(script, keys, *arguments, heard=heard)

    def _fail(self):
        if self.is_away:
            raise RedisUnavailable("Redis is not reachable")


@dataclass
class Held:
    reservation: Reservation
    gateway: int
    limits: tuple
    until: float
    ceiling: int


@dataclass
class World:
    """What is true."""

    seconds: float = 1_000.0
    held: list[Held] = field(default_factory=list)
    orphans: list[Held] = field(default_factory=list)
    over: list[Held] = field(default_factory=list)
    admitted: list[float] = field(default_factory=list)
    rows: list[tuple[tuple, datetime, int]] = field(default_factory=list)
    late: int = 0
    alone: int = 0
    faults: int = 0

    def wall(self, gateway):
        return START + timedelta(seconds=self.seconds - 1_000 + 2 * gateway)

    async def spent(self, tenant, scope, period):
        kind = EVER if scope == TENANT else DAY
        return sum(nano for limits, at, nano in self.rows if kind in limits and period.start <= at < period.end)

    def spent_of(self, of, at):
        period = period_of(of.allowance.window, at)
        return sum(nano for limits, when, nano in self.rows if of in limits and period.start <= when < period.end)

    def holds(self, of, at):
        period = period_of(of.allowance.window, at)
        return [
            each for each in (*self.held, *self.orphans)
            if of in each.limits and each.until > self.seconds
            and period.start <= each.reservation.admitted_at < period.end
        ]  # fmt: skip


class Machine(RuleBasedStateMachine):
    gateways_count = 1
    is_strict = False

    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.number = 0
        self.run(self.open())

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def open(self):
        self.gateways = [self.limiter(0)]

    def limiter(self, at):
        return InMemoryLimiter(self.nanoseconds, lambda: self.world.wall(at), self.world)

    def nanoseconds(self):
        return round(self.world.seconds * 1_000) * 1_000_000

    def teardown(self):
        if hasattr(self, "loop"):
            try:
                self.heal()
                self.at_rest()
            finally:
                self.run(self.close())
                self.loop.close()

    async def close(self):
        pass

    def heal(self):
        pass

    def tick(self):
        pass

    @rule(
        gateway=st.integers(0, 9),
        limits=st.sampled_from(SETS),
        tokens=st.integers(0, 60),
        spend=st.sampled_from([0, 1, 7, 100, 400]),
        most=st.sampled_from([0, 300, 5_000]),
    )
    def reserve(self, gateway, limits, tokens, spend, most):
        gateway %= self.gateways_count
        world, demand = self.world, Demand(tokens, spend, spend + most)
        self.number += 1
        before = self.expected_refusals(limits, demand, gateway)
        asking = self.gateways[gateway].reserve(f"r{self.number}", "t", limits, demand, timedelta(seconds=LEASE))
        try:
            verdict = self.run(asking)
        except Overloaded:
            assert self.gateways[gateway].mode != "exact" and self.is_strict and spend and {EVER, DAY} & set(limits)
            return
        if not world.faults:
            known = {each.limit for each in verdict.refused_by} - {REQUESTS, TOKENS}
            assert known == before
        if verdict.reservation is None:
            assert verdict.refused_by and not any(each.limit.shadow for each in verdict.refused_by)
            return
        if REQUESTS in limits:
            world.admitted.append(world.seconds)
        ceiling = verdict.reservation.ceiling
        assert (ceiling is None) == (not {EVER, DAY} & set(limits))
        held = Held(verdict.reservation, gateway, limits, world.seconds + LEASE, spend if ceiling is None else ceiling)
        assert held.ceiling >= spend
        if self.gateways[gateway].mode != "exact":
            # One that alone is cut off has its share of what was left, and so have all others.
            world.alone += held.ceiling
        world.held.append(held)

    def expected_refusals(self, limits, demand, gateway):
        world, refusing = self.world, set()
        for each in limits:
            at = world.wall(gateway)
            if each is AT_ONCE and len(world.holds(each, at)) >= 4:
                refusing.add(each)
            if each in (EVER, DAY) and demand.spend:
                ceilings = sum(held.ceiling for held in world.holds(each, at))
                if world.spent_of(each, at) + ceilings + demand.spend > each.allowance.amount:
                    refusing.add(each)
        return refusing

    @precondition(lambda self: self.world.held)
    @rule(at=st.integers(0, 99), share=st.sampled_from([0.0, 0.5, 1.0]), tokens=st.integers(0, 90))
    def settle(self, at, share, tokens):
        held = self.world.held.pop(at % len(self.world.held))
        used = Used(tokens, int(held.ceiling * share))
        self.world.rows.append((held.limits, held.reservation.admitted_at, used.spend))
        if held.until <= self.world.seconds:
            self.world.late += used.spend
        self.gateways[held.gateway].settle(held.reservation, used)
        self.world.over.append(held)
        self.settled()

    @precondition(lambda self: self.world.held)
    @rule(at=st.integers(0, 99))
    def cancel(self, at):
        held = self.world.held.pop(at % len(self.world.held))
        self.gateways[held.gateway].cancel(held.reservation)
        self.world.over.append(held)
        self.settled()

    @precondition(lambda self: self.world.over)
    @rule(at=st.integers(0, 99), gateway=st.integers(0, 9), cancels=st.booleans())
    def end_again(self, at, gateway, cancels):
        held, limiter = self.world.over[at % len(self.world.over)], self.gateways[gateway % self.gateways_count]
        if cancels:
            limiter.cancel(held.reservation)
        else:
            limiter.settle(held.reservation, Used(9, 9))
        self.settled()

    @precondition(lambda self: self.world.held)
    @rule(at=st.integers(0, 99), more=st.sampled_from([1, 50, 5_000]))
    def extend(self, at, more):
        held = self.world.held[at % len(self.world.held)]
        granted = self.run(self.gateways[held.gateway].extend(held.reservation, more))
        assert 0 <= granted <= more
        if held.reservation.ceiling is not None:
            held.ceiling += granted
            self.world.alone += granted * (self.gateways[held.gateway].mode != "exact")

    @rule(seconds=st.sampled_from([0.001, 1.0, 9.999, 10.0, 20.0, 61.0]))
    def time_passes(self, seconds):
        self.world.seconds += seconds
        self.tick()

    def settled(self):
        """Wait until what was sent has arrived."""

    @invariant()
    def no_budget_is_overrun(self):
        if not hasattr(self, "world"):
            return
        for each in (EVER, DAY):
            for at in {held.reservation.admitted_at for held in (*self.world.held, *self.world.over)}:
                true = self.world.spent_of(each, at) + sum(held.ceiling for held in self.world.holds(each, at))
                assert true - self.world.late - self.world.alone <= each.allowance.amount

    @invariant()
    def no_window_is_overfull(self):
        if not hasattr(self, "world"):
            return
        admitted, stated = self.world.admitted, self.world.faults * (BURST + self.gateways_count)
        for first, start in enumerate(admitted):
            for last in range(first, len(admitted)):
                most = BURST + (admitted[last] - start) * RATE / MINUTE
                # What was cancelled was given back; a settled request was not.
                cancelled = sum(1 for held in self.world.over if REQUESTS in held.limits)
                assert last - first + 1 <= most + 1e-6 + stated + cancelled

    def at_rest(self):
        """Once all leases have ended nothing is held, and what is counted as spent is what was spent."""
        world = self.world
        world.seconds += LEASE + 1
        self.tick()
        exact = (EVER, SHADOW, DAY, AT_ONCE)
        standings = self.run(self.gateways[0].standings(exact))
        assert [each.reserved for each in standings[:3]] == [0, 0, 0]
        assert standings[3].remaining == 4
        at = world.wall(0)
        of_model = [world.spent_of(EVER, at), world.spent_of(SHADOW, at), world.spent_of(DAY, at)]
        if world.faults:
            assert standings[0].spent >= of_model[0] and standings[2].spent >= of_model[2]
        else:
            assert [each.spent for each in standings[:3]] == of_model


class Killed(Machine):
    """In this process alone a crash loses what was open, and the ledger knows the rest."""

    @rule()
    def kill(self):
        self.gateways[0] = self.limiter(0)
        self.world.held.clear()
        self.world.over.clear()
        self.world.faults += 1


def machine_of_redis(server, budgets):
    class Redis(Machine):
        gateways_count = 2
        is_strict = budgets == "closed"

        async def open(self):
            self.client = server.client()
            self.client.flushall()
            self.tick()
            self.stack = AsyncExitStack()
            self.in_background = await self.stack.enter_async_context(background_work())
            self.connections = [
                await self.stack.enter_async_context(RedisConnection(server.url, timedelta(seconds=30)))
                for _ in range(2)
            ]
            self.gateways = [None, None]
            self.lines = [None, None]
            for at in range(2):
                await self.start(at)
            for limiter in self.gateways:
                await limiter.beat()

        async def start(self, at):
            self.lines[at] = Line(self.connections[at])
            self.gateways[at] = RedisLimiter(
                self.lines[at], Terms(processes=2, budgets_without_redis=budgets), self.world, in_background=self.in_background,
                clock=self.nanoseconds, now=lambda: self.world.wall(at),
            )  # fmt: skip
            # Whoever has not heard of a counter does not know what others hold of it.
            await self.gateways[at].standings(SETS[-1])
            await self.gateways[at].beat()

        async def close(self):
            await self.stack.aclose()
            self.client.close()

        def tick(self):
            set_clock(self.client, round(self.world.seconds * 1_000) * 1_000)

        def settled(self):
            self.run(self.hear())

        async def hear(self):
            for connection in self.connections:
                await connection.execute("PING")
            await asyncio.sleep(0)
            for connection in self.connections:
                await connection.execute("PING")

        def heal(self):
            for line in self.lines:
                line.is_away = line.loses_next = False
            for _ in range(10):
                for limiter in self.gateways:
                    for owed in limiter._teller.owed.values():
                        owed.is_sent = False
                    self.run(limiter.beat())
                    self.settled()
            for limiter in self.gateways:
                assert limiter.mode == "exact" and not limiter._teller.owed

        @rule(at=st.integers(0, 1))
        def beat(self, at):
            self.run(self.gateways[at].beat())
            self.settled()

        @rule(at=st.integers(0, 1))
        def lose_reply(self, at):
            self.lines[at].loses_next = True
            self.world.faults += 1

        @rule(at=st.integers(0, 1), is_away=st.booleans())
        def redis_goes(self, at, is_away):
            self.lines[at].is_away = is_away
            self.world.faults += is_away

        @precondition(lambda self: not any(line.is_away for line in self.lines))
        @rule()
        def redis_forgets(self):
            self.client.flushall()
            self.tick()
            self.world.faults += 1
            # Budgets wait until both have said what they hold.
            for limiter in self.gateways:
                self.run(limiter.beat())
            self.settled()

        @precondition(lambda self: not any(line.is_away for line in self.lines))
        @rule(at=st.integers(0, 1))
        def kill(self, at):
            dead = [held for held in self.world.held if held.gateway == at]
            self.world.held = [held for held in self.world.held if held.gateway != at]
            self.world.orphans += dead
            # What it owed is lost with it.
            self.world.faults += bool(self.gateways[at]._teller.owed)
            self.run(self.start(at))

    return Redis


EXAMPLES = int(os.environ.get("PENSTOCK_COUNTING", "10"))

STEPS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES == 10,
    phases=[Phase.generate],
)


@pytest.mark.parametrize("machine", [Machine, Killed])
def test_in_memory(machine):
    run_state_machine_as_test(machine, settings=STEPS)


@pytest.mark.parametrize("budgets", ["share", "closed"])
def test_in_redis(monkeypatch, budgets):
    stop_clock(monkeypatch)
    with RedisServer() as server:
        run_state_machine_as_test(machine_of_redis(server, budgets), settings=STEPS)

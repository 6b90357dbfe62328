"""Several processes and one Redis: what they ask of an upstream together is what it allows, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from penstock_common import errors
from penstock_common.background import background_work
from penstock_common.priority import Priority
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.fake_clock import FakeClock
from penstock_common.testing.redis_server import RedisServer
from penstock_inference.adapters.shared_limits import KEY, SharedLimits
from penstock_inference.domain.load.budgets import Budgets
from penstock_inference.domain.load.gate import Gate, GateLimits

PATIENCE = timedelta(seconds=20)
BURST_PART = 6


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


class Process:
    """One process' gates; its clock is the test's, so that it takes nothing and gives nothing back behind its back."""

    def __init__(self, processes: int) -> None:
        self.clock = FakeClock()
        self.limits: SharedLimits
        self.gate: Gate
        self._processes = processes

    async def connect(
        self, redis: RedisServer, stack: AsyncExitStack, limits: GateLimits, patience: timedelta = PATIENCE
    ) -> None:
        """Begin to share, as a process does when it starts."""
        connection = await stack.enter_async_context(RedisConnection(redis.url, patience))
        self.limits = SharedLimits(connection, await stack.enter_async_context(background_work()))
        await self.limits.beat()
        budgets = Budgets(self.clock, self.limits)
        parts = budgets.parts("u", limits.requests_per_minute, limits.tokens_per_minute, self._processes)
        self.gate = Gate(limits, self.clock, None, parts)

    async def enter(self, tokens: int = 0) -> bool:
        """Go in if the limits let one in now."""
        gate = self.gate
        return gate.try_enter(Priority.DEFAULT, tokens) or await gate.try_enter_once_told(Priority.DEFAULT, tokens)


@pytest.fixture
async def start(redis):
    """A function that starts processes with these limits; all run until the test's end."""
    async with AsyncExitStack() as stack:

        async def start(count, *, processes=1, **limits):
            made = [Process(processes) for _ in range(count)]
            for process in made:
                await process.connect(redis, stack, GateLimits(**limits))
            for process in made:
                await process.limits.beat()
            return made

        yield start


async def taken(processes, count, tokens=0):
    """Return how many of so many came in, who came to all processes in turn, and the most that time has earned meanwhile."""
    began = time.monotonic()
    came = sum([await processes[turn % len(processes)].enter(tokens) for turn in range(count)])
    return came, time.monotonic() - began


async def until_shared(process):
    """Return whether a process shares its limits; after a failure the connection lets a second pass before it is made again."""
    async with asyncio.timeout(60):
        await process.limits.beat()
        while process.limits._is_away:
            await asyncio.sleep(0.02)
            await process.limits.beat()
    return True


async def test_all_processes_together_have_one_burst(start):
    processes = await start(4, requests_per_minute=600)
    came, seconds = await taken(processes, 400)
    assert 100 <= came <= 100 + seconds * 10 + 1


async def test_a_process_that_comes_later_has_no_burst_of_its_own(start):
    (first,) = await start(1, requests_per_minute=60)
    began = time.monotonic()
    assert (await taken([first], 30))[0] >= 10
    later = await start(2, requests_per_minute=60)
    came, _ = await taken(later, 30)
    assert came <= time.monotonic() - began + 1


async def test_tokens_are_lent_as_they_are_wanted_and_what_an_answer_did_not_take_is_for_others(start):
    one, other = await start(2, tokens_per_minute=6_000)
    assert await one.enter(900)
    assert not await other.enter(900)
    one.gate.leave(900, 10)
    await one.clock.advance(1)
    # It was told to come again within a second of its own clock.
    await other.clock.advance(1)
    async with asyncio.timeout(60):
        while not await other.enter(800):
            await asyncio.sleep(0.01)
            await other.clock.advance(1)


async def test_one_that_ends_leaves_what_it_had_in_hand_and_counts_no_more(start, redis):
    one, other, third = await start(3, tokens_per_minute=6_000, concurrent_requests=10)
    assert sorted(process.gate.most_inside for process in (one, other, third)) == [3, 3, 4]
    assert await one.enter(900)
    one.gate.leave(900, 0)
    await one.limits.close()
    for process in (other, third):
        await process.limits.beat()
    assert [process.gate.most_inside for process in (other, third)] == [5, 5]
    assert await other.enter(900)
    with redis.client() as client:
        assert all(client.pttl(key) > 0 for key in client.keys("*"))


async def test_one_that_was_killed_is_gone_after_a_while(start, redis):
    one, _ = await start(2, concurrent_requests=10)
    assert one.gate.most_inside == 5
    with redis.client() as client:
        (name,) = [name for name in client.hkeys(f"{KEY}:processes") if name.decode() != one.limits._name]
        seconds, microseconds = client.time()
        client.hset(f"{KEY}:processes", name, int(seconds * 1000 + microseconds / 1000) - 10_001)
        await one.limits.beat()
        assert client.hlen(f"{KEY}:processes") == 1
    assert one.gate.most_inside == 10


async def test_what_in_redis_is_no_number_counts_for_nothing_and_is_written_over(start, redis):
    (one,) = await start(1, requests_per_minute=600)
    with redis.client() as client:
        client.hset(f"{KEY}:processes", "nobody", "nonsense")
        client.set(f"{KEY}:requests:600:u", "nonsense")
        await one.limits.beat()
        assert await one.enter()
        assert (one.limits._is_away, client.hlen(f"{KEY}:processes")) == (False, 1)
        assert float(client.get(f"{KEY}:requests:600:u")) > 0


async def test_redis_is_asked_about_once_a_second_and_not_for_each_request(start, redis):
    (one,) = await start(1, requests_per_minute=60_000)
    with redis.client() as client:

        def asked():
            return client.info("commandstats")["cmdstat_evalsha"]["calls"]

        for _ in range(2):
            for _ in range(200):
                assert await one.enter()
            before = asked()
            await one.clock.advance(1)
        for _ in range(200):
            assert await one.enter()
        assert asked() - before <= 10


async def test_without_redis_each_has_its_share_and_what_it_took_counts_when_redis_is_back(start, redis):
    processes = await start(4, requests_per_minute=600)
    came, earning = await taken(processes, 60)
    assert came == 60
    redis.crash()
    # Each hears of it when it asks, or says that it is there.
    for process in processes:
        await process.limits.beat()
    alone, seconds = await taken(processes, 400)
    # None knows of the last slice of the others, which is a second's at most.
    assert 100 - 60 - 4 <= alone <= 100 - 60 + 4 * 10 + (earning + seconds) * 10
    for process in processes:
        await process.clock.advance(20)
    earned, _ = await taken(processes, 400)
    assert earned == pytest.approx(100, abs=4)

    redis.start()
    began = time.monotonic()
    for process in processes:
        assert await until_shared(process)
    came, _ = await taken(processes, 400)
    # Of a Redis that has forgotten everything nobody has a new burst.
    assert came <= (time.monotonic() - began) * 10 + 2 + len(processes)


async def test_who_has_never_heard_of_redis_has_the_share_that_the_settings_say(redis):
    redis.crash()
    async with AsyncExitStack() as stack:
        process = Process(5)
        await process.connect(redis, stack, GateLimits(requests_per_minute=600, concurrent_requests=200))
        assert (await taken([process], 50))[0] == 100 / 5
        assert process.gate.most_inside == 40
        redis.start()
        assert await until_shared(process)
        assert process.gate.most_inside == 200


async def test_a_redis_that_hangs_holds_nobody_for_longer_than_its_time(redis):
    async with AsyncExitStack() as stack:
        process = Process(2)
        await process.connect(redis, stack, GateLimits(requests_per_minute=60), timedelta(seconds=0.3))
        assert await until_shared(process)
        with redis.paused():
            assert await asyncio.wait_for(process.enter(), 60)
        assert process.limits._is_away


async def test_two_services_together_ask_no_more_than_the_provider_allows(serve, first, redis):
    limits = {"requests_per_minute": 60, "wait": "0s"}
    settings = first.settings("first", limits=limits, rate_limited={"wait": "0s"})
    callers = [await serve(settings, redis={"state": redis.url}) for _ in range(2)]
    began = time.monotonic()
    outcomes = [await callers[turn % 2].ask("first/m") for turn in range(30)]
    refused = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert all(isinstance(error, errors.RateLimited) for error in refused)
    assert 60 / BURST_PART <= len(first.requests) <= 60 / BURST_PART + (time.monotonic() - began) + 1
    assert len(first.requests) + len(refused) == 30


@pytest.mark.parametrize("has_limits", [True, False])
async def test_only_who_has_limits_says_that_it_is_there_and_again_and_again(has_limits, serve, first, redis):
    limits = {"requests_per_minute": 60} if has_limits else {}
    await serve(first.settings("first", limits=limits), redis={"state": redis.url}, health={"share_every": "10ms"})
    with redis.client() as client:

        def told():
            return client.hgetall(f"{KEY}:processes")

        at_first, exchanges = told(), client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert len(at_first) == has_limits
        async with asyncio.timeout(60):
            # What replicas know of upstreams goes on in any case.
            while client.info("commandstats")["cmdstat_evalsha"]["calls"] < exchanges + 10:
                await asyncio.sleep(0.01)
        assert (told() != at_first) is has_limits


async def test_upstreams_of_one_quota_share_what_it_allows(serve, first, second):
    limits = {"requests_per_minute": 60, "wait": "0s"}
    group = {"limits": limits, "quota_group": "account", "rate_limited": {"wait": "0s"}}
    caller = await serve(first.settings("first", **group), second.settings("second", **group))
    began = time.monotonic()
    for _ in range(15):
        await caller.ask("first/m")
        await caller.ask("second/m")
    came = len(first.requests) + len(second.requests)
    assert 60 / BURST_PART <= came <= 60 / BURST_PART + (time.monotonic() - began) + 1
    assert second.requests

"""Limits counted in a real Redis: the same minute as in memory, shared, and survived."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock_common import redis_connection
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.redis_server import RedisServer
from penstock_gateway.adapters.limits_in_memory import InMemoryLimiter
from penstock_gateway.adapters.limits_in_redis import _RESERVE, RedisLimiter
from penstock_gateway.domain.access.identity import Tenant, Tier
from penstock_gateway.domain.life.admission import CONCURRENT_REQUESTS, REQUESTS_PER_MINUTE
from penstock_suite.adapters.redis_server import redis_command

LEASE = timedelta(seconds=600)
PATIENT = timedelta(seconds=30)


def tenant(per_minute=None, at_once=None, name="t"):
    return Tenant(name, Tier("own", per_minute, at_once))


@pytest.fixture
async def connect(redis_server):
    """A maker of limiters, each with a connection of its own, as two gateways have."""
    connections = []

    async def make(timeout=PATIENT):
        connection = await RedisConnection(redis_server.url, timeout).__aenter__()
        connections.append(connection)
        return RedisLimiter(connection, InMemoryLimiter())

    yield make
    for connection in connections:
        await connection.__aexit__(None, None, None)


WAITS_MS = st.lists(st.one_of(st.integers(0, 5_000), st.sampled_from([0, 1, 59_999, 60_000, 60_001])), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(0, 5), waits_ms=WAITS_MS)
def test_script_lets_in_exactly_what_any_minute_has_room_for(redis_server, limit, waits_ms):
    # The script's own clock is replaced by two more keys, so that minutes pass at once.
    source = _RESERVE.source.replace("redis.call('TIME')", "{KEYS[3], KEYS[4]}")
    assert source != _RESERVE.source
    now_ms = 1_800_000_000_000
    admitted_ms = []
    with redis_server.client() as client:
        client.flushall()
        for wait_ms in waits_ms:
            now_ms += wait_ms
            verdict, used, place_ms, reset_ms, counted_ms, _ = client.eval(
                source, 4, "log", "running", now_ms // 1000, now_ms % 1000 * 1000, limit, -1, "x", 60_000, 1, 0
            )
            # Its expiry is by the real clock, which stands still here.
            client.persist("log")
            in_window = [at for at in admitted_ms if at > now_ms - 60_000]
            if len(in_window) < limit:
                assert (verdict, used, reset_ms) == (0, len(in_window) + 1, 60_000)
                admitted_ms.append(now_ms)
            else:
                assert (verdict, used) == (1, limit)
                assert place_ms == (in_window[-limit] + 60_000 - now_ms if limit else 60_000)
        assert client.llen("log") <= max(limit, 0)


async def test_two_gateways_share_the_minute(connect):
    first, second = await connect(), await connect()
    verdicts = await asyncio.gather(
        *(limiter.reserve(tenant(10), f"{number}", LEASE) for number in range(10) for limiter in (first, second))
    )
    assert sum(not verdict.refused_by for verdict in verdicts) == 10
    assert sorted(verdict.state.remaining for verdict in verdicts if not verdict.refused_by) == list(range(10))


async def test_numbers_say_where_the_tenant_stands(connect):
    limiter = await connect()
    first = await limiter.reserve(tenant(2), "a", LEASE)
    assert (first.state.limit, first.state.remaining) == (2, 1)
    assert first.state.reset == timedelta(seconds=60)
    await limiter.reserve(tenant(2), "b", LEASE)
    refused = await limiter.reserve(tenant(2), "c", LEASE)
    assert refused.refused_by == REQUESTS_PER_MINUTE
    assert refused.state.remaining == 0
    assert timedelta(seconds=50) < refused.retry_after <= refused.state.reset <= timedelta(seconds=60)


async def test_limit_of_nothing_refuses_everything(connect):
    refused = await (await connect()).reserve(tenant(0), "a", LEASE)
    assert refused.refused_by == REQUESTS_PER_MINUTE
    assert refused.retry_after == timedelta(seconds=60)


async def test_tenant_without_limits_leaves_nothing_in_redis(connect, redis_server):
    limiter = await connect()
    assert not (await limiter.reserve(tenant(), "a", LEASE)).refused_by
    limiter.release(tenant(), "a")
    with redis_server.client() as client:
        assert client.dbsize() == 0


async def test_place_released_by_one_gateway_is_free_for_the_other(connect):
    first, second = await connect(), await connect()
    await first.reserve(tenant(5, 1), "a", LEASE)
    refused = await second.reserve(tenant(5, 1), "b", LEASE)
    assert refused.refused_by == CONCURRENT_REQUESTS
    assert refused.state.remaining == 4
    first.release(tenant(5, 1), "a")
    # Commands of one connection are executed in order: this one's answer says that the release is done.
    await first.reserve(tenant(), "x", LEASE)
    await first._redis.execute("PING")
    assert not (await second.reserve(tenant(5, 1), "b", LEASE)).refused_by


async def test_request_refused_for_concurrency_does_not_count_as_a_request(connect):
    limiter = await connect()
    await limiter.reserve(tenant(2, 1), "a", LEASE)
    for _ in range(5):
        assert (await limiter.reserve(tenant(2, 1), "b", LEASE)).refused_by == CONCURRENT_REQUESTS
    limiter.release(tenant(2, 1), "a")
    assert not (await limiter.reserve(tenant(2, 1), "b", LEASE)).refused_by


async def test_untouched_minute_resets_at_once(connect, redis_server):
    limiter = await connect()
    await limiter.reserve(tenant(5, 1), "a", LEASE)
    with redis_server.client() as client:
        client.delete("{t:t}:limits:log")  # as after a minute: the stream still runs, the log is empty
    refused = await limiter.reserve(tenant(5, 1), "b", LEASE)
    assert refused.refused_by == CONCURRENT_REQUESTS
    assert (refused.state.remaining, refused.state.reset) == (5, timedelta(0))


async def until(condition, interval=0.005):
    """Wait for what another process does by its own clock."""
    while not await condition():
        await asyncio.sleep(interval)


async def test_place_of_a_dead_process_comes_back_when_its_lease_ends(connect):
    limiter = await connect()
    await limiter.reserve(tenant(at_once=1), "a", timedelta(milliseconds=300))
    assert (await limiter.reserve(tenant(at_once=1), "b", LEASE)).refused_by == CONCURRENT_REQUESTS

    async def is_free():
        return not (await limiter.reserve(tenant(at_once=1), "b", LEASE)).refused_by

    async with asyncio.timeout(60):
        await until(is_free)


async def test_nothing_that_is_counted_lives_for_ever(connect, redis_server):
    """Neither what is counted at once nor what is told afterwards."""
    limiter = await connect()
    await limiter.reserve(tenant(5, 5), "a", LEASE)
    longest = 35 * 86_400_000
    lives = {b"{t:t}:limits:log": longest, b"{t:t}:limits:running": longest}
    with redis_server.client() as client:
        assert {key: 0 < client.pttl(key) <= life for key, life in lives.items()} == dict.fromkeys(lives, True)
        assert set(client.keys()) == set(lives)
        client.flushall()
        told = [2, 3_000, 1_000, "during", 5_000]
        assert client.eval(_RESERVE.source, 2, *lives, 0, 0, "b", 60_000, 1, *told) == [1, 1, 60_000, 59_000, 0, 1]
        assert {key: 0 < client.pttl(key) <= life for key, life in lives.items()} == dict.fromkeys(lives, True)


async def test_short_lease_does_not_end_a_long_one(connect, redis_server):
    limiter = await connect()
    await limiter.reserve(tenant(at_once=2), "long", timedelta(seconds=600))
    await limiter.reserve(tenant(at_once=2), "short", timedelta(milliseconds=50))
    with redis_server.client() as client:
        assert client.pttl("{t:t}:limits:running") > 590_000


async def test_place_comes_back_when_the_caller_leaves_while_redis_is_asked(connect, redis_server):
    limiter = await connect()
    await limiter.reserve(tenant(5, 5), "first", LEASE)
    with redis_server.paused():
        asking = asyncio.create_task(limiter.reserve(tenant(5, 5), "gone", LEASE))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await limiter._redis.execute("PING")
    with redis_server.client() as client:
        assert client.zrange("{t:t}:limits:running", 0, -1) == [b"first"]


async def let_in(limiter, of_tenant, times):
    """Return how many of so many requests are let in."""
    verdicts = [await limiter.reserve(of_tenant, f"{number}", LEASE) for number in range(times)]
    return sum(not verdict.refused_by for verdict in verdicts)


async def until_redis_counts(limiter):
    async with asyncio.timeout(60):
        await until(limiter.answers)


async def test_paused_redis_grants_no_fresh_allowance(connect, redis_server):
    limiter = await connect(timedelta(milliseconds=50))
    await until_redis_counts(limiter)
    assert await let_in(limiter, tenant(10), 6) == 6
    with redis_server.paused():
        assert await let_in(limiter, tenant(10), 20) == 4
        refused = await limiter.reserve(tenant(10), "x", LEASE)
        assert (refused.refused_by, refused.state.limit, refused.state.remaining) == (REQUESTS_PER_MINUTE, 10, 0)
        assert timedelta(0) < refused.retry_after <= timedelta(seconds=60)
    await until_redis_counts(limiter)
    assert await let_in(limiter, tenant(10), 20) == 0


async def test_redis_that_comes_and_goes_grants_nothing_twice(connect, redis_server):
    limiter, patient = await connect(timedelta(milliseconds=50)), await connect()
    await until_redis_counts(limiter)
    of_tenant = tenant(20)
    admitted = await let_in(limiter, of_tenant, 2)
    for _ in range(4):
        with redis_server.paused():
            admitted += await let_in(limiter, of_tenant, 3)
        await until_redis_counts(limiter)
        admitted += await let_in(limiter, of_tenant, 1)
    # The other gateway knows what was let in without Redis.
    admitted += await let_in(patient, of_tenant, 20)
    # What was under way when Redis stopped is counted where it stopped.
    assert 18 <= admitted <= 20


async def test_what_others_took_is_taken_while_redis_is_away(connect, redis_server):
    limiter, other = await connect(timedelta(milliseconds=50)), await connect()
    await until_redis_counts(limiter)
    assert await let_in(other, tenant(10), 7) == 7
    assert await let_in(limiter, tenant(10), 1) == 1
    with redis_server.paused():
        assert await let_in(limiter, tenant(10), 10) == 2


async def test_who_runs_while_redis_is_away_has_a_place_when_it_is_back(connect, redis_server):
    limiter, other = await connect(timedelta(milliseconds=50)), await connect()
    both = tenant(100, 3)
    await until_redis_counts(limiter)
    await limiter.reserve(both, "before", LEASE)
    redis_server.crash()
    assert not (await limiter.reserve(both, "during", LEASE)).refused_by
    redis_server.start()
    await until_redis_counts(limiter)
    await until_redis_counts(other)
    # Redis came back empty; it is told who still runs.
    assert not (await limiter.reserve(both, "after", LEASE)).refused_by
    with redis_server.client() as client:
        assert set(client.zrange("{t:t}:limits:running", 0, -1)) == {b"before", b"during", b"after"}
    assert (await other.reserve(both, "last", LEASE)).refused_by == CONCURRENT_REQUESTS
    limiter.release(both, "during")
    await limiter.answers()
    assert not (await other.reserve(both, "last", LEASE)).refused_by


async def test_redis_that_is_known_to_be_away_is_not_asked(connect, redis_server, monkeypatch):
    monkeypatch.setattr(redis_connection, "_COOL_DOWN_SECONDS", 3600.0)
    limiter = await connect(timedelta(milliseconds=50))
    await until_redis_counts(limiter)
    with redis_server.paused():
        await limiter.reserve(tenant(100), "a", LEASE)
        # No timer runs: each of these is answered without giving the loop up.
        waits = limiter.reserve(tenant(100), "b", LEASE)
        with pytest.raises(StopIteration):
            waits.send(None)


async def test_places_taken_while_redis_hung_are_given_back_when_it_answers_again(connect, redis_server):
    limiter = await connect(timedelta(milliseconds=50))
    both = tenant(100, 2)
    await limiter.reserve(both, "before", LEASE)
    with redis_server.paused():
        # The command is on its way; nobody knows whether it will be executed.
        await limiter.reserve(both, "during", LEASE)
        limiter.release(both, "before")
        limiter.release(both, "during")

    async def is_empty():
        await limiter.reserve(both, "after", LEASE)
        limiter.release(both, "after")
        with redis_server.client() as client:
            return client.exists("{t:t}:limits:running") == 0

    async with asyncio.timeout(60):
        await until(is_empty)


async def test_what_is_taken_back_is_counted_nowhere(connect):
    limiter, other = await connect(), await connect()
    verdicts = [await limiter.reserve(tenant(3), str(number), LEASE) for number in range(3)]
    limiter.take_back(tenant(3), verdicts[1])
    # On the same connection, so behind it.
    assert (await limiter.reserve(tenant(3), "again", LEASE)).refused_by == ""
    refused = await other.reserve(tenant(3), "one too many", LEASE)
    assert refused.refused_by == REQUESTS_PER_MINUTE
    other.take_back(tenant(3), refused)
    assert (await other.reserve(tenant(3), "one too many", LEASE)).refused_by == REQUESTS_PER_MINUTE


async def test_a_local_redis_that_is_full_gives_up_cached_answers_and_never_a_count(tmp_path):
    said = redis_command(Path("redis-server"), tmp_path, tmp_path / "redis.sock").argv
    policy = [text for name in ("--maxmemory-policy", "--maxmemory-samples") for text in (name, _after(said, name))]
    limited = tenant(per_minute=2, at_once=2)
    with RedisServer(*policy, "--maxmemory", "4mb") as server:
        async with RedisConnection(server.url, PATIENT) as connection:
            limiter = RedisLimiter(connection, InMemoryLimiter())
            for request_id in ("a", "b"):
                assert not (await limiter.reserve(limited, request_id, LEASE)).refused_by
            with server.client() as client:
                for number in range(3_000):
                    client.set(f"{{t:x}}:cache:exact:{number}", b"x" * 4_000, px=3_600_000)
                assert client.info("stats")["evicted_keys"] > 1_000
                assert min(client.pttl(key) for key in client.scan_iter("*limits*")) > 3_600_000
            refused = await limiter.reserve(limited, "c", LEASE)
    assert refused.refused_by == REQUESTS_PER_MINUTE


def _after(argv, name):
    return argv[argv.index(name) + 1]

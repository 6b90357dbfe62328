"""Two replicas and one Redis: what one finds out, the other knows, whatever happens to Redis meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from penstock_common.background import running
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_common.testing.redis_server import RedisServer
from penstock_inference.adapters.shared_health import KEY, SharedHealth
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import GOOD_PROBES, State
from penstock_inference.domain.pool import Pool

PATIENCE = timedelta(seconds=20)


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


class Replica:
    """One process' health, whose clock is its own: it runs as Redis' does, and can be moved on."""

    def __init__(self, offset_seconds: float) -> None:
        self._offset_seconds = offset_seconds
        self.health = Health(clock=lambda: self.now, chance=lambda: 0.5)
        for name in ("u", "v"):
            endpoints = [Endpoint(None, "here")]  # pyright: ignore[reportArgumentType] - never asked
            Pool(endpoints, self.health.upstream(name)).places("m")
        self.place, self.other = self.health.places.values()
        self.shared: SharedHealth

    @property
    def now(self) -> float:
        return time.monotonic() + self._offset_seconds

    async def connect(self, redis: RedisServer, stack: AsyncExitStack) -> None:
        """Begin to exchange, as a process does when it starts."""
        connection = await stack.enter_async_context(RedisConnection(redis.url, PATIENCE))
        self.shared = SharedHealth(connection, self.health)

    def move(self, seconds: float) -> None:
        self._offset_seconds += seconds
        self.health.tick()

    def refuse(self, seconds: float | None) -> None:
        """Meet a 429 that says so."""
        told = None if seconds is None else timedelta(seconds=seconds)
        self.place.failed(AttemptFailed(FailureKind.RATE_LIMITED, "slowly", told), self.now, self.now, ("r", "t"))

    def probe_well(self) -> None:
        """Bring back who is out."""
        self.move(60)
        for _ in range(GOOD_PROBES):
            (place,) = self.health.due_probes()
            self.health.probe_ended(place, 0.1, "answered", None)


@pytest.fixture
async def replicas(redis):
    """Two, whose clocks are an hour apart."""
    async with AsyncExitStack() as stack:
        made = [Replica(10_000.0), Replica(13_600.0)]
        for replica in made:
            await replica.connect(redis, stack)
        yield made


async def exchange(*replicas: Replica) -> None:
    """Have each tell, and then each hear."""
    for _ in range(2):
        for replica in replicas:
            await replica.shared.exchange()


def conditions(*replicas: Replica) -> list[State]:
    return [replica.place.condition for replica in replicas]


@pytest.mark.parametrize("told", [(1, 60, None), (60, 1, None), (None, 60, 1), (None, 1, 60)], ids=str)
async def test_the_longest_cool_down_holds_everywhere_on_every_clock(told, replicas) -> None:
    one, other = replicas
    for number, seconds in enumerate(told):
        replicas[number % 2].refuse(seconds)
        await exchange(one, other)
    assert one.place.group.until - one.now == pytest.approx(60, abs=5)
    assert other.place.group.until - other.now == pytest.approx(60, abs=5)
    assert other.place.state(other.now) is State.COOLING
    assert other.other.state(other.now) is State.OK


@pytest.mark.parametrize("what", ["a cool-down", "an ejection"])
async def test_news_is_told_at_once(what, replicas) -> None:
    one, other = replicas
    async with running(one.shared.run(3600)), asyncio.timeout(60):
        # It begins to listen.
        await asyncio.sleep(0)
        if what == "a cool-down":
            one.refuse(60)
        else:
            one.place.eject(one.now, "connect")
        while other.place.state(other.now) is State.OK:
            await other.shared.exchange()
            await asyncio.sleep(0.01)


class FarRedis(RedisConnection):
    """A Redis that is some way off."""

    async def run(self, *arguments, **options):
        await asyncio.sleep(0.02)
        reply = await super().run(*arguments, **options)
        await asyncio.sleep(0.02)
        return reply


async def test_a_cool_down_does_not_grow_by_being_told_and_is_told_anew_where_it_was_forgotten(redis) -> None:
    one = Replica(10_000.0)
    async with AsyncExitStack() as stack:
        one.shared = SharedHealth(await stack.enter_async_context(FarRedis(redis.url, PATIENCE)), one.health)
        one.refuse(600)
        client = stack.enter_context(redis.client())
        kept = set()
        for _ in range(4):
            await one.shared.exchange()
            kept.add(client.hget(KEY, "q u"))
        assert len(kept) == 1
        client.flushall()
        for _ in range(2):
            await one.shared.exchange()
        assert client.hget(KEY, "q u")


async def test_who_is_out_is_out_everywhere_and_back_everywhere(replicas) -> None:
    one, other = replicas
    one.place.eject(one.now, "connect")
    await exchange(one, other)
    assert conditions(one, other) == [State.EJECTED] * 2
    assert other.place.reason == "connect"
    assert other.health.upstream("u").trouble
    other.probe_well()
    one.move(60)
    await exchange(other, one)
    assert conditions(one, other) == [State.OK] * 2
    await exchange(one, other)
    assert conditions(one, other) == [State.OK] * 2


async def test_the_operators_word_holds_everywhere_and_for_a_process_that_starts(replicas, redis) -> None:
    one, other = replicas
    one.health.eject("u", "maintenance", 1800)
    await exchange(one, other)
    async with AsyncExitStack() as stack:
        new = Replica(5.0)
        await new.connect(redis, stack)
        await new.shared.exchange()
        assert conditions(other, new) == [State.BY_HAND] * 2
        (state,) = [each for each in new.health.states() if each.name.upstream == "u"]
        assert state.reason == "maintenance"
        assert state.until_seconds == pytest.approx(1800, abs=30)
    other.move(1801)
    assert other.place.condition is State.OK


async def test_nothing_that_another_finds_out_meanwhile_stands_against_the_operators_word(replicas) -> None:
    one, other = replicas
    one.place.eject(one.now, "connect")
    await exchange(one, other)
    one.health.eject("u", "maintenance", 1800)
    # The other has not heard, and its probes succeed.
    other.probe_well()
    assert conditions(one, other) == [State.BY_HAND, State.OK]
    await exchange(other, one)
    assert conditions(one, other) == [State.BY_HAND] * 2
    await exchange(one, other)
    assert conditions(one, other) == [State.BY_HAND] * 2


async def test_a_restoring_by_hand_reaches_all_but_not_who_has_failed_since(replicas) -> None:
    one, other = replicas
    one.health.eject("u", "maintenance", 1800)
    one.other.eject(one.now, "connect")
    one.move(60)
    await exchange(one, other)
    assert conditions(one, other) == [State.BY_HAND] * 2
    other.health.restore("u")
    other.health.restore("v")
    other.move(10)
    one.other.eject(one.now, "cut")
    await exchange(other, one)
    assert conditions(one, other) == [State.OK] * 2
    assert [replica.other.condition for replica in (one, other)] == [State.EJECTED] * 2
    assert [replica.other.reason for replica in (one, other)] == ["cut"] * 2
    await exchange(one, other)
    assert conditions(one, other) == [State.OK] * 2


async def test_a_later_word_of_the_operator_counts_although_its_time_is_over(replicas) -> None:
    one, other = replicas
    one.health.eject("u", "maintenance", 1800)
    one.move(60)
    await exchange(one, other)
    assert conditions(one, other) == [State.BY_HAND] * 2
    one.health.eject("u", "a moment will do", 10)
    one.move(20)
    await exchange(one, other)
    assert conditions(one, other) == [State.OK] * 2
    assert other.place.reason == "the time that was set is over"
    other.health.tick()
    assert not other.health.upstream("u").trouble


async def test_a_process_that_starts_later_is_not_told_of_what_is_over(replicas, redis) -> None:
    one, _ = replicas
    one.health.eject("u", "maintenance", 1)
    one.move(10)
    await one.shared.exchange()
    async with AsyncExitStack() as stack:
        new = Replica(5.0)
        await new.connect(redis, stack)
        await new.shared.exchange()
        assert new.place.condition is State.OK


async def test_without_redis_each_goes_on_and_what_was_learned_meanwhile_is_told_after(redis) -> None:
    one, other = Replica(10_000.0), Replica(13_600.0)
    async with AsyncExitStack() as stack:
        for replica in (one, other):
            await replica.connect(redis, stack)
        one.place.eject(one.now, "connect")
        await exchange(one, other)
        redis.crash()
        one.refuse(60)
        other.probe_well()
        one.move(60)
        one.other.eject(one.now, "cut")
        await exchange(one, other)
        assert conditions(one, other) == [State.EJECTED, State.OK]
        assert one.health.upstream("u").trouble
        assert await one.shared.take("u/m", 15)
        await one.shared.give_back("u/m")
    redis.start()
    async with AsyncExitStack() as stack:
        # Connections of their own, as the others still remember that Redis was away.
        for replica in (one, other):
            await replica.connect(redis, stack)
        await exchange(one, other)
        assert conditions(one, other) == [State.OK] * 2
        assert [replica.other.condition for replica in (one, other)] == [State.EJECTED] * 2


async def test_a_redis_that_has_forgotten_everything_is_told_anew(replicas, redis) -> None:
    one, other = replicas
    one.place.eject(one.now, "connect")
    one.refuse(60)
    await exchange(one, other)
    with redis.client() as client:
        client.flushall()
        await exchange(other, one)
        assert client.hlen(KEY) == 2
        assert 0 < client.pttl(KEY) <= 3_600_000
    assert conditions(one, other) == [State.EJECTED] * 2


async def test_one_of_them_probes_at_a_time_and_no_lease_is_left(replicas, redis) -> None:
    one, other = replicas
    assert await one.shared.take("u/m", 15)
    assert not await other.shared.take("u/m", 15)
    await other.shared.give_back("u/m")
    assert not await other.shared.take("u/m", 15)
    await one.shared.give_back("u/m")
    assert await other.shared.take("u/m", 15)
    with redis.client() as client:
        assert all(client.pttl(key) > 0 for key in client.keys("*"))


async def test_what_a_later_version_says_is_passed_over(replicas, redis) -> None:
    one, _ = replicas
    with redis.client() as client:
        client.hset(KEY, 'p ["u","here","m"]', "9999999999999 {}")
        client.hset(KEY, "p nonsense", "9999999999999 {}")
        client.hset(KEY, "q u", "1 ")
        client.hset(KEY, b"q \xff", "99999999999999999 ")
    await exchange(one)
    assert one.place.condition is State.OK
    assert one.place.state(one.now) is State.OK


GARBAGE = {
    b"nonsense": b"nonsense",
    b"\xff\xfe": b"5 \xff",
    b"q u": b"soon",
    b"q v": b"99999999999999999999 ",
    b'p ["u","here","m"]': b"",
    b'p ["v","here","m"]': b'7 ["ejected","\xff","somebody",null]',
    b'p ["u","there"]': b'7 ["ok","","somebody",null]',
    b'p ["u","here","other"]': b"-5 x",
}


async def test_whatever_stands_in_redis_what_can_be_read_is_shared_and_the_rest_is_thrown_away(replicas, redis) -> None:
    one, other = replicas
    async with RedisConnection(redis.url, PATIENCE) as connection:
        await connection.execute("HSET", KEY, *[part for field in GARBAGE.items() for part in field])
        one.place.eject(one.now, "connect")
        await exchange(one, other)
        assert conditions(one, other) == [State.EJECTED] * 2
        assert other.other.state(other.now) is State.OK
        left = await connection.execute("HKEYS", KEY)
    assert b"nonsense" not in left
    assert not [field for field in left if field.startswith(b"q")]


@pytest.mark.parametrize("condition", ["probing", "cooling", "of a later version"])
async def test_a_place_becomes_nothing_that_it_cannot_be_by_itself(condition, replicas, redis) -> None:
    one, _ = replicas
    said = f'1 ["{condition}","","somebody",null]'
    async with RedisConnection(redis.url, PATIENCE) as connection:
        await connection.execute("HSET", KEY, 'p ["u","here","m"]', said)
        await one.shared.exchange()
    assert one.place.condition is State.OK


async def test_what_was_told_before_redis_clock_went_back_is_told_anew(replicas, redis) -> None:
    one, other = replicas
    ahead = int((time.time() + 7200) * 1e6)
    async with RedisConnection(redis.url, PATIENCE) as connection:
        await connection.execute("HSET", KEY, 'p ["u","here","m"]', f'{ahead} ["ejected","connect","somebody",null]')
        await connection.execute("HSET", KEY, "q v", f"{ahead} ")
        await exchange(one, other)
        assert conditions(one, other) == [State.OK] * 2
        assert not one.other.group.is_cooling(one.now)
        one.place.eject(one.now, "connect")
        await exchange(one, other)
        assert conditions(one, other) == [State.EJECTED] * 2


@pytest.mark.parametrize("life", [[], ["PX", 3_600_000]], ids=["for ever", "an hour"])
async def test_a_lease_that_no_replica_can_have_taken_keeps_nobody_from_probing(life, replicas, redis) -> None:
    one, other = replicas
    async with RedisConnection(redis.url, PATIENCE) as connection:
        await connection.execute("SET", f"{KEY}:probe:u/m", "somebody", *life)
    assert await one.shared.take("u/m", 15)
    assert not await other.shared.take("u/m", 15)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_in_whatever_order_both_agree_in_the_end(seed, replicas) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        replica = chance.choice(replicas)
        is_by_hand = replica.place.condition is State.BY_HAND
        match chance.randrange(6):
            case 0 if not is_by_hand:
                replica.place.eject(replica.now, "cut")
            case 1 if not is_by_hand:
                replica.place.restore(replica.now, "")
            case 2:
                replica.refuse(chance.choice([None, 1, 300, 3600]))
            case 3:
                replica.health.eject("u", chance.choice(["why", "why not"]), chance.choice([900, 1800]))
            case 4:
                replica.health.restore("u")
            case _:
                await replica.shared.exchange()
    await exchange(*replicas)
    one, other = replicas
    assert one.place.condition is other.place.condition
    assert one.place.until - one.now == pytest.approx(other.place.until - other.now, abs=5)
    left = [replica.place.group.until - replica.now for replica in replicas]
    assert left[0] == pytest.approx(left[1], abs=5)


async def test_a_service_hears_from_another_before_its_first_request(serve, first, second, redis) -> None:
    settings = first.settings("first"), second.settings("second")
    one = await serve(*settings, redis={"state": redis.url})
    first.otherwise = lambda _: Failure(503)
    while True:
        outcome = await one.ask("first/m", "second/m")
        if outcome.outcomes == ["second answered"]:
            break
    seen = len(first.requests)
    with redis.client() as client:
        while not client.hlen(KEY):
            await asyncio.sleep(0.01)
    first.otherwise = lambda _: Answer()
    other = await serve(*settings, redis={"state": redis.url})
    outcome = await other.ask("first/m", "second/m")
    assert outcome.outcomes == ["second answered"]
    assert outcome.steps[0].attributes["passed_over"] == "first/m ejected"
    assert len(first.requests) == seen


async def test_a_redis_that_cannot_be_one_is_refused_and_one_that_is_away_is_done_without(serve, first) -> None:
    caller = await serve(first.settings("first"), redis={"state": "unix:///nowhere/redis.sock"})
    assert (await caller.ask("first/m")).answer.text == "Hello, world."

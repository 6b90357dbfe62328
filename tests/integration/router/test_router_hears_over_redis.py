"""Two replicas of the inference service say how upstreams are, and a router hears it through a real Redis."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from penstock_common.configuration import Configuration
from penstock_common.contract.router import Requirements, RouteRequest
from penstock_common.contract.wire.router import ROUTE
from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.redis_server import RedisServer
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_common.upstreams.redis_feed import KEY, LIFE_MILLISECONDS, RedisFeed
from penstock_inference.adapters.shared_health import SharedHealth
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import GOOD_PROBES
from penstock_inference.domain.pool import Pool
from penstock_router.adapters.listener import Listener
from penstock_router.app import build
from penstock_router.configured import catalogue_from
from penstock_router.domain.routing import Router
from penstock_router.settings import Settings

PATIENCE = timedelta(seconds=20)
BELIEVED_SECONDS = 3600.0
"""Longer than any machine stalls; what is too old is made so."""
CONFIGURATION = """
upstreams:
  - {name: u, models: [{name: m, context_window: 100}]}
  - {name: v, models: [{name: m, context_window: 100}]}
models: [{name: fast, candidates: [u/m, v/m]}]
"""
REQUEST = RouteRequest(model="fast", requirements=Requirements())


def settings(**sections: object) -> Settings:
    document = dict(Configuration.parse(CONFIGURATION, {}).document)
    return Settings.model_validate({**document, **sections})


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


class Replica:
    """A process of the inference service, as far as health goes: ``u`` has two places, ``v`` has one."""

    def __init__(self, connection: RedisConnection) -> None:
        self.moved_seconds = 0.0
        self.health = Health(clock=lambda: time.monotonic() + self.moved_seconds, chance=lambda: 0.5)
        for name, endpoints in (("u", ("e1", "e2")), ("v", ("e1",))):
            made = [Endpoint(None, endpoint) for endpoint in endpoints]  # pyright: ignore[reportArgumentType] - never asked
            Pool(made, self.health.upstream(name)).places("m")
        self.u1, self.u2, self.v = self.health.places.values()
        self.shared = SharedHealth(connection, self.health)

    def eject(self, *places: object) -> None:
        for place in places:
            place.eject(self.health.clock(), "connect")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

    def probe_all_well(self) -> None:
        for _ in range(2 * GOOD_PROBES):
            self.moved_seconds += 60
            for place in list(self.health.due_probes()):
                self.health.probe_ended(place, 0.1, "answered", None)


class Hearing:
    """A router and its listener, whose clock stands still until it is told."""

    def __init__(self, connection: RedisConnection) -> None:
        self.now = 0.0
        self.router = Router(catalogue_from(settings()), random.Random(1))
        feed = RedisFeed(connection, BELIEVED_SECONDS)
        self.listener = Listener(feed, self.router.hear, 5.0, lambda: self.now)

    async def plan(self) -> list[str]:
        await self.listener.listen()
        return self.names()

    def names(self) -> list[str]:
        return [str(candidate) for candidate in self.router.plan(REQUEST).candidates]

    @property
    def reason(self) -> str:
        return self.router.plan(REQUEST).reason


@pytest.fixture
async def connect(redis: RedisServer, stack: AsyncExitStack):
    async def connect() -> RedisConnection:
        return await stack.enter_async_context(RedisConnection(redis.url, PATIENCE))

    return connect


async def exchange(*replicas: Replica) -> None:
    """Have each tell, and then each hear."""
    for _ in range(2):
        for replica in replicas:
            await replica.shared.exchange()


async def test_what_either_replica_finds_out_the_router_hears_and_takes_back_what_recovers(connect) -> None:
    one, other = Replica(await connect()), Replica(await connect())
    router = Hearing(await connect())
    assert await router.plan() == ["u/m", "v/m"]
    # One found out about a place, and the other about the other.
    one.eject(one.u1)
    await exchange(one, other)
    assert await router.plan() == ["u/m", "v/m"]
    other.eject(other.u2)
    await exchange(one, other)
    assert await router.plan() == ["v/m"]
    assert router.reason.startswith("fast: v/m first by order; left out u/m (ejected: connect, ")
    # Nobody asks it any more, and its probes go on all the same.
    one.probe_all_well()
    await exchange(one, other)
    assert await router.plan() == ["u/m", "v/m"]
    assert router.reason == "fast: u/m first by order"


async def test_the_later_word_counts_before_the_other_replica_has_heard_it(connect) -> None:
    one, other = Replica(await connect()), Replica(await connect())
    router = Hearing(await connect())
    one.eject(one.u1, one.u2)
    await exchange(one, other)
    one.probe_all_well()
    await one.shared.exchange()
    # The other's own word, that it is out, still stands there.
    assert await router.plan() == ["u/m", "v/m"]


async def test_the_word_of_a_replica_that_has_died_is_not_believed_for_long(connect, redis: RedisServer) -> None:
    one, router = Replica(await connect()), Hearing(await connect())
    one.eject(one.u1, one.u2)
    await one.shared.exchange()
    assert await router.plan() == ["v/m"]
    with redis.client() as client:
        ((name, said),) = client.hgetall(KEY).items()
        at, _, word = said.partition(b" ")
        client.hset(KEY, name, b"%d %b" % (int(at) - int((BELIEVED_SECONDS + 1) * 1e6), word))
        assert await router.plan() == ["u/m", "v/m"]
        # Whoever lives removes it, and what is left goes with the last of them.
        other = Replica(await connect())
        await other.shared.exchange()
        assert name not in client.hgetall(KEY)
        assert client.hlen(KEY) == 1
        assert 0 < client.pttl(KEY) <= LIFE_MILLISECONDS


async def test_without_redis_plans_are_the_configurations_and_what_is_learned_meanwhile_is_told_after(
    connect, redis: RedisServer
) -> None:
    one, router = Replica(await connect()), Hearing(await connect())
    one.eject(one.u1, one.u2)
    await one.shared.exchange()
    assert await router.plan() == ["v/m"]
    redis.crash()
    # For a moment it may be no more than that.
    assert await router.plan() == ["v/m"]
    router.now += 6
    assert await router.plan() == ["u/m", "v/m"]
    assert router.reason == "fast: u/m first by order"
    await one.shared.exchange()
    redis.start()
    # A connection of its own, as the others still remember that Redis was away.
    told, heard = SharedHealth(await connect(), one.health), Hearing(await connect())
    assert await heard.plan() == ["u/m", "v/m"]
    await told.exchange()
    assert await heard.plan() == ["v/m"]


async def test_what_a_later_version_says_is_passed_over(connect, redis: RedisServer) -> None:
    one, router = Replica(await connect()), Hearing(await connect())
    one.eject(one.u1, one.u2)
    await one.shared.exchange()
    with redis.client() as client:
        ((_, said),) = client.hgetall(KEY).items()
        at = said.partition(b" ")[0]
        client.hset(KEY, "later", at + b' [{"candidate":{"upstream":"v","model":"m"},"condition":"dreaming"}]')
        client.hset(KEY, "odd", at + b" \xff nonsense")
        client.hset(KEY, "no text", at + b' [{"candidate":{"upstream":"\xff","model":"m"}}]')
        client.hset(KEY, "no time", b"nonsense")
        assert await router.plan() == ["v/m"]
        client.delete(KEY)
        client.set(KEY, "of another kind")
    router.now += 6
    assert await router.plan() == ["u/m", "v/m"]


async def test_a_router_that_starts_has_heard_before_its_first_request_and_listens_on(
    connect, redis: RedisServer, stack
) -> None:
    one = Replica(await connect())
    one.eject(one.u1, one.u2)
    await one.shared.exchange()
    made = settings(redis={"state": redis.url}, router={"listen_every": "10ms", "believed_for": "10m"})
    service = await stack.enter_async_context(build(made))
    channel = await stack.enter_async_context(channel_to(service, IN_PROCESS))

    async def names() -> list[str]:
        return [str(candidate) for candidate in (await channel.call(ROUTE, REQUEST)).candidates]

    # A stalled machine may have Redis answer too late for the first.
    async with asyncio.timeout(60):
        while await names() != ["v/m"]:
            await asyncio.sleep(0)
    one.probe_all_well()
    await one.shared.exchange()
    async with asyncio.timeout(60):
        while await names() != ["u/m", "v/m"]:
            await asyncio.sleep(0)


async def test_an_address_that_cannot_be_one_is_refused(stack) -> None:
    with pytest.raises(Exception, match=r"redis\.state"):
        await stack.enter_async_context(build(settings(redis={"state": "redis://host:nowhere"})))


async def test_the_word_of_a_replica_whose_figures_are_absurd_is_passed_over(connect, redis: RedisServer) -> None:
    one, feed = Replica(await connect()), RedisFeed(await connect(), BELIEVED_SECONDS)
    one.eject(one.v)
    await one.shared.exchange()
    ((_, (sound,)),) = await feed.words()
    with redis.client() as client:
        ((_, said),) = client.hgetall(KEY).items()
        for figure in ("latency_seconds", "output_tokens", "token_seconds"):
            for at, absurd in enumerate((b"-0.5", b"1e300", b"NaN")):
                word = b' [{"candidate":{"upstream":"u","model":"m"},"%b":%b}]' % (figure.encode(), absurd)
                client.hset(KEY, f"{figure} {at}", said.partition(b" ")[0] + word)
    ((_, (heard,)),) = await feed.words()
    assert heard.candidate == sound.candidate

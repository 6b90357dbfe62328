"""Who has lost a flight's claim changes nothing of it any more, and who has none follows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from penstock_common.errors import UpstreamFailed
from penstock_common.llm.types import TextDelta
from penstock_common.redis_connection import RedisConnection
from penstock_gateway.adapters.flights.sealed import FlightSealer
from penstock_gateway.adapters.flights.shared import FOLLOW, RedisFlights
from penstock_gateway.domain.life.flights import Claim, Flight, FlightKey

KEY = FlightKey("tenant", "model", b"digest", "generation")
LEASE_MS, SHORT_MS = 60_000, 30_000


class Process:
    """What one process has of the flights, over a connection of its own."""

    def __init__(self, redis, name):
        self.redis = redis
        self.name = name
        self.flights = RedisFlights(
            redis, FlightSealer(b"s" * 32), name, lease_seconds=LEASE_MS / 1000, most_bytes=1 << 20
        )
        self.flights.is_deaf = False
        self.flight = Flight(KEY, "generation-1")

    async def claim(self):
        claim = await self.flights.claim(self.flight)
        if claim is Claim.OURS:
            self.flight.publish = self.flights.publish
        return claim

    @property
    def shared(self):
        (shared,) = self.flights._flights.values()
        return shared

    async def heard(self):
        """Have all replies that are due be heard, which come in order, and what is sent for them."""
        for _ in range(8):
            await self.redis.execute("PING")
            await asyncio.sleep(0)

    def be_followed(self):
        self.flights.hear({b"k": FOLLOW, b"f": self.shared.id.encode(), b"p": b"somebody"})


@pytest.fixture
async def processes(redis_server):
    async with AsyncExitStack() as stack:
        made = []
        for name in ("a" * 16, "b" * 16):
            redis = await stack.enter_async_context(RedisConnection(redis_server.url, timedelta(seconds=10)))
            made.append(Process(redis, name))
            stack.callback(made[-1].flights.stop)
        yield made


@pytest.fixture
def client(redis_server):
    with redis_server.client() as client:
        yield client


async def test_one_has_it_generated_and_the_other_follows(processes, client):
    one, other = processes
    assert await one.claim() is Claim.OURS
    client.pexpire(one.shared.claim, SHORT_MS)
    assert await other.claim() is Claim.ANOTHERS
    assert other.shared.holder == one.name
    assert client.get(one.shared.claim) == f"{one.name}|generation-1".encode()
    assert client.pttl(one.shared.claim) <= SHORT_MS


async def test_who_has_lost_the_claim_writes_nothing(processes, client):
    one, _ = processes
    await one.claim()
    one.be_followed()
    one.flight.append((TextDelta(text="a"),))
    await one.heard()
    assert client.xlen(one.shared.log) == 1
    log = one.shared.log
    client.set(one.shared.claim, "another|generation-1", px=SHORT_MS)
    one.flight.append((TextDelta(text="b"),))
    await one.heard()
    assert client.xlen(log) == 1
    # Nobody is led from here any more.
    assert (one.flight.elsewhere, one.flights._flights) == (0, {})


async def test_who_has_lost_the_claim_neither_renews_nor_ends_it(processes, client):
    one, _ = processes
    await one.claim()
    claim = one.shared.claim
    client.set(claim, "another|generation-1", px=SHORT_MS)
    one.flights._renew(one.shared)
    await one.heard()
    assert client.pttl(claim) <= SHORT_MS
    one.flights.forget(one.flight)
    await one.heard()
    assert client.get(claim) == b"another|generation-1"


async def test_who_has_the_claim_renews_and_ends_it(processes, client):
    one, _ = processes
    await one.claim()
    claim = one.shared.claim
    client.pexpire(claim, SHORT_MS)
    one.flights._renew(one.shared)
    await one.heard()
    assert client.pttl(claim) > SHORT_MS
    one.flights.forget(one.flight)
    await one.heard()
    assert client.get(claim) is None


@pytest.mark.parametrize("left", [None, "another|generation-1"])
async def test_a_follower_whose_leader_has_no_claim_any_more_goes_on(processes, client, left):
    one, other = processes
    await one.claim()
    await other.claim()
    other.flights._check(other.shared)
    await other.heard()
    assert not other.flight.is_orphan
    client.delete(one.shared.claim)
    if left is not None:
        client.set(one.shared.claim, left)
    other.flights._check(other.shared)
    await other.heard()
    assert (other.flight.is_orphan, other.flight.is_owed) == (True, True)


async def test_a_log_is_read_in_its_order_once_and_by_who_can_open_it(processes, client):
    one, other = processes
    await one.claim()
    await other.claim()
    one.be_followed()
    for text in "abc":
        one.flight.append((TextDelta(text=text),))
    await one.heard()
    entries = client.xrange(one.shared.log)
    assert len(entries) == 3
    for some in (entries[1:], entries[:2], entries[:2], entries[2:]):
        other.flights.hear_log(one.shared.log, some)
    assert "".join(event.text for batch in other.flight.record for event in batch) == "abc"
    # What stands in another's place was not written there.
    moved = [(b"4-0", entries[0][1])]
    other.flights.hear_log(one.shared.log, moved)
    assert other.flight.is_orphan
    assert len(other.flight.record) == 3


async def test_an_error_that_ends_it_is_everybodys(processes, client):
    one, other = processes
    await one.claim()
    await other.claim()
    one.be_followed()
    one.flight.fail(UpstreamFailed("It is down.", upstream="first"))
    await one.heard()
    other.flights.hear_log(one.shared.log, client.xrange(one.shared.log))
    assert isinstance(other.flight.error, UpstreamFailed)
    assert other.flight.error.message == "It is down."

"""Two inference services and one Redis: the operator's word, given to one of them, holds in both."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penstock_common.contract.inference import PlaceCondition, UpstreamAction, UpstreamOrder
from penstock_common.contract.wire.inference import CONTROL_UPSTREAM, LIST_UPSTREAMS
from penstock_common.testing.openai_upstream import Failure
from penstock_common.testing.redis_server import RedisServer
from penstock_common.testing.transports import channel_to
from penstock_inference.app import build
from penstock_inference.settings import Settings


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


@pytest.fixture
async def channels(first, second, redis):
    """One to each of two services of the same configuration, over real sockets."""
    upstreams = [first.settings("first"), second.settings("second")]
    settings = Settings.model_validate({"upstreams": upstreams, "redis": {"state": redis.url}})
    async with (
        build(settings) as one,
        build(settings) as other,
        channel_to(one, "socket") as to_one,
        channel_to(other, "socket") as to_other,
    ):
        yield to_one, to_other


async def places(channel):
    return await channel.call(LIST_UPSTREAMS, None, timeout=60)


async def control(channel, action, upstream="first", **more):
    return await channel.call(CONTROL_UPSTREAM, UpstreamOrder(upstream=upstream, action=action, **more), timeout=60)


async def until_first_is(channel, state):
    """Wait until a service tells so of the first upstream; return what it tells."""
    while (place := (await places(channel))[0]).state is not state:
        await asyncio.sleep(0.01)
    return place


async def test_what_one_is_told_both_do(channels):
    one, other = channels
    hour = timedelta(hours=1)
    (told,) = await control(one, UpstreamAction.EJECT, duration=hour, reason="maintenance")
    heard = await until_first_is(other, PlaceCondition.BY_HAND)
    assert (heard.upstream, heard.model, heard.reason) == ("first", "m", "maintenance")
    assert told.until - told.since == heard.until - heard.since == hour
    assert abs(told.until - heard.until) < timedelta(minutes=1)
    await control(other, UpstreamAction.RESTORE)
    assert (await until_first_is(one, PlaceCondition.OK)).until is None
    assert [place.state for place in await places(other)] == [PlaceCondition.OK] * 2


async def test_a_probe_by_hand_is_made_and_seen(channels, first):
    one, _ = channels
    first.otherwise = lambda _: Failure(503)
    await control(one, UpstreamAction.PROBE)
    while not (place := (await places(one))[0]).probe_outcome:
        await asyncio.sleep(0.01)
    assert place.probe_outcome != "answered"
    assert place.probed_at is not None
    assert len(first.requests) == 1

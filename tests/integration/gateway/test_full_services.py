"""What the gateway makes of a service that turns it away: no cache is needed, and of the others callers are told the truth."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from penstock_common.contract.cache import LookupRequest, LookupResponse, Probe, Scope
from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.contract.wire.cache import LOOKUP
from penstock_common.contract.wire.embedding import LIST_MODELS
from penstock_common.contract.wire.router import ROUTE
from penstock_common.errors import Overloaded
from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.server import listening
from penstock_common.rpc.server_interceptors import FinalFailures, IncomingScope
from penstock_common.rpc.shedding import LoadShedding
from penstock_common.sections import RoomSettings
from penstock_common.service import Service
from penstock_common.testing.generations import QUESTION
from penstock_gateway.adapters.services.cache import CacheClient
from penstock_gateway.adapters.services.embedding import EmbeddingClient
from penstock_gateway.adapters.services.models import RouterClient
from penstock_gateway.domain.life.ladder import is_an_upstreams

MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def full(role, method, request):
    """Yield a channel to a process of the role that has room for one call, and has it; and how many it turned away."""
    go, begun = asyncio.Event(), asyncio.Event()

    async def held(_, call):
        begun.set()
        await go.wait()
        raise Overloaded("let go")

    shedding = LoadShedding(RoomSettings(**{role: 1}).of(role))

    def turned_away():
        samples = [sample for family in shedding.collect() for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name.endswith("shed_total"))

    service = Service(role, (method.served_by(held),))
    async with (
        listening("127.0.0.1:0", [service], [FinalFailures(), IncomingScope(), shedding]) as listener,
        open_channel(f"127.0.0.1:{listener.port}") as channel,
    ):
        caller = SocketChannel(channel)
        inside = asyncio.ensure_future(caller.call(method, request))
        await asyncio.wait_for(begun.wait(), 60)
        try:
            yield caller, turned_away
        finally:
            go.set()
            with pytest.raises(Overloaded):
                await inside


async def test_a_full_cache_is_a_miss_at_once():
    request = LookupRequest(scope=Scope(tenant="t", model="m"), probe=Probe(digest=b"d" * 32))
    async with full("cache", LOOKUP, request) as (channel, turned_away):
        assert await CacheClient(channel, MINUTE, MINUTE).look_up(request, []) == LookupResponse(miss_reason="away")
        assert turned_away() == 1


async def test_a_full_router_is_told_with_when_to_come_again_and_a_ladder_may_be_taken():
    request = RouteRequest(model="m", requirements=requirements_of(QUESTION), allowed_regions=())
    async with full("router", ROUTE, request) as (channel, turned_away):
        with pytest.raises(Overloaded, match="router") as refused:
            await RouterClient(channel, MINUTE).route(request, [])
        assert refused.value.retry_after
        assert is_an_upstreams(refused.value)
        assert turned_away() > 1


async def test_the_models_of_a_full_embedding_service_are_left_out_of_a_list():
    async with full("embedding", LIST_MODELS, None) as (channel, turned_away):
        assert await EmbeddingClient(channel, MINUTE).models() == ()
        assert turned_away() > 1

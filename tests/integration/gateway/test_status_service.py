"""StatusService on a socket: what it tells of traffic, and of parts that are away."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import grpc
import pytest

from penstock.gateway.v1 import status_service_pb2 as pb
from penstock.gateway.v1.status_service_pb2_grpc import StatusServiceStub
from penstock_common.testing.openai_upstream import Answer, Failure


@pytest.fixture
def status(suite):
    """A function that returns the status."""
    stub = StatusServiceStub(suite.channel)

    async def ask():
        return await stub.GetStatus(pb.GetStatusRequest(), metadata=(("x-api-key", suite.OPERATOR_KEY),), timeout=30)

    return ask


async def test_idle_gateway_is_healthy_and_knows_its_upstreams(status):
    told = await status()
    assert (told.is_healthy, list(told.problems), told.requests_in_flight) == (True, [], 0)
    assert told.replica.endswith(f":{os.getpid()}")
    assert [(upstream.name, [model.name for model in upstream.models]) for upstream in told.upstreams] == [
        ("first", ["m1"]),
        ("second", ["m1"]),
    ]
    traffic = told.traffic
    assert (traffic.requests, traffic.window.seconds) == (0, 60)
    for unknown in ("duration_p50_ms", "time_to_first_token_p95_ms", "cache_hit_ratio", "cost_per_request_nano_usd"):
        assert not traffic.HasField(unknown)


async def test_traffic_is_summed_up(suite, status, upstream, redis_server):
    await suite.ask(stream=True)
    with redis_server.client() as client:
        while not client.keys("*:cache:exact:*"):
            await asyncio.sleep(0.005)
    await suite.ask()
    upstream.enqueue(*[Failure(503)] * 4)
    assert (await suite.ask("other")).status == 502
    assert (await suite.ask("bad", temperature=3)).status == 400
    told = await status()
    traffic = told.traffic
    assert (traffic.requests, traffic.failures, traffic.error_ratio) == (4, 1, 0.25)
    assert traffic.cache_hit_ratio == pytest.approx(1 / 3)
    assert traffic.cost_per_request_nano_usd == 15_000 // 4
    assert 0 < traffic.duration_p50_ms <= traffic.duration_p95_ms
    assert traffic.time_to_first_token_p50_ms > 0
    first = told.upstreams[0]
    assert (first.name, first.failed_attempts) == ("first", first.attempts - 1)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_an_upstream_cannot_do_is_no_failure_of_it(suite, status, stream):
    assert (await suite.ask(top_k=3, frequency_penalty=0, made_up=1, stream=stream)).status == 400
    assert [(upstream.name, upstream.attempts) for upstream in (await status()).upstreams] == [
        ("first", 0),
        ("second", 0),
    ]


async def test_a_request_at_fault_is_no_failure_of_its_upstream(suite, status, upstream):
    upstream.enqueue(Failure(400, {"message": "no", "code": "content_filter"}), Failure(400, {"message": "bad"}))
    for text in ("one", "two"):
        assert (await suite.ask(text)).status == 400
    first = (await status()).upstreams[0]
    assert (first.attempts, first.failed_attempts) == (2, 0)


async def test_requests_in_flight_are_counted(suite, status, upstream, hold):
    upstream.enqueue(Answer(tokens=["one", "two"], hold={1: hold}))
    asking = asyncio.create_task(suite.ask())
    await upstream.next_request()
    assert (await status()).requests_in_flight == 1
    hold.set()
    await asking
    assert (await status()).requests_in_flight == 0


async def test_redis_that_is_away_is_a_problem_that_is_named(status, redis_server):
    redis_server.crash()
    told = await status()
    assert (told.is_healthy, list(told.problems)) == (False, ["Redis does not answer."])
    redis_server.start()
    while not (await status()).is_healthy:
        await asyncio.sleep(0.01)


async def test_gateway_that_leaves_says_so(suite, status):
    await suite.gateway.drain(timedelta())
    assert list((await status()).problems) == ["This gateway is shutting down."]


async def test_tenants_keys_do_not_see_the_status(suite):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await StatusServiceStub(suite.channel).GetStatus(pb.GetStatusRequest(), metadata=(("x-api-key", suite.KEY),))
    assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED

"""One trace says why an answer came from where it came: who was passed over, asked again, waited for, or went on with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf import duration_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock_common.testing.openai_upstream import Answer, End, Failure

TRACEPARENT = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


class Collector(TraceServiceServicer):
    """An OTLP collector that keeps spans."""

    def __init__(self):
        self.spans = []

    async def Export(self, request, context):
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()

    def told(self, name):
        """Return what the spans of a name say, in the order in which they began."""
        found = sorted((span for span in self.spans if span.name == name), key=lambda span: span.start_time_unix_nano)
        return [
            {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}
            for span in found
        ]


@pytest.fixture
async def traced(document, serve):
    """A context of a suite whose spans are in the collector once it is left."""
    collector, server = Collector(), grpc.aio.server()
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    document["telemetry"] = {"otlp": f"http://127.0.0.1:{port}", "sample_ratio": 0, "parent_sampling": "always"}

    @asynccontextmanager
    async def running():
        suite = await serve()
        yield suite, collector
        await suite.ledger_after_close()

    yield running
    await server.stop(None)


async def test_whom_the_operator_has_left_out_is_named_and_the_routers_reason_stands(traced):
    async with traced() as (suite, collector):
        await AdminServiceStub(suite.channel).EjectUpstream(
            pb.EjectUpstreamRequest(upstream="first", duration=duration_pb2.Duration(seconds=600)),
            metadata=(("x-api-key", suite.OPERATOR_KEY),),
        )
        assert (await suite.ask(model="safe", headers=TRACEPARENT)).header["x-penstock-upstream"] == "second"
    (plan,), (generate,), (attempt,) = (collector.told(name) for name in ("router.plan", "generate", "attempt"))
    assert plan["reason"] == generate["plan"] == "safe: first/m1 first by order"
    assert (attempt["upstream"], attempt["outcome"]) == ("second", "answered")
    assert attempt["passed_over"] == "first/m1 by hand"


async def test_a_refused_key_says_that_its_upstream_is_out_from_then_on(traced, upstream):
    upstream.enqueue(Failure(401))
    async with traced() as (suite, collector):
        assert (await suite.ask(model="safe", headers=TRACEPARENT)).status == 200
        await suite.ask("again", model="safe", headers=TRACEPARENT)
    refused, first, second = collector.told("attempt")
    assert (refused["upstream"], refused["outcome"], refused["became"]) == ("first", "credentials", "ejected")
    assert "passed_over" not in first
    assert (first["upstream"], second["upstream"]) == ("second", "second")
    assert second["passed_over"] == "first/m1 ejected"


async def test_a_rate_limit_says_for_how_long_nobody_asks_there(traced, upstream):
    upstream.enqueue(Failure(429, headers={"retry-after": "60"}))
    async with traced() as (suite, collector):
        assert (await suite.ask(model="safe", headers=TRACEPARENT)).status == 200
    refused, answered = collector.told("attempt")
    assert (refused["outcome"], answered["upstream"]) == ("rate_limited", "second")
    assert 59_000 < refused["cools_ms"] <= 60_000
    assert "became" not in refused


async def test_a_break_says_who_went_on_with_the_answer_and_how(traced, document, upstream, hold):
    document["upstreams"][1]["models"][0]["capabilities"].append("prefill")
    upstream.enqueue(Answer(stop_after=3, end=End.RESET, hold={3: hold}))
    async with (
        traced() as (suite, collector),
        suite.http.post(
            "http://penstock/v1/chat/completions",
            json={"model": "safe", "messages": [{"role": "user", "content": "Hi"}], "stream": True},
            headers={"x-api-key": suite.KEY, **TRACEPARENT},
        ) as response,
    ):
        await response.content.readuntil(b"\n\n")
        hold.set()
        await response.read()
    broke, *rest = collector.told("attempt")
    assert (broke["upstream"], broke["outcome"]) == ("first", "cut")
    assert {attempt["recovery"] for attempt in rest} <= {"continued", "regenerated"}
    assert rest[-1]["outcome"] == "answered"


async def test_a_wait_for_an_upstreams_limits_is_told(traced, document, upstream, hold):
    document["upstreams"][0]["limits"] = {"concurrent_requests": 1}
    upstream.enqueue(Answer(hold={1: hold}))
    async with traced() as (suite, collector):
        one = asyncio.create_task(suite.ask("one", headers=TRACEPARENT))
        await upstream.next_request()
        two = asyncio.create_task(suite.ask("two", headers=TRACEPARENT))
        stub = AdminServiceStub(suite.channel)
        while True:
            told = await stub.ListUpstreams(pb.ListUpstreamsRequest(), metadata=(("x-api-key", suite.OPERATOR_KEY),))
            if told.places[0].waiting:
                break
            await asyncio.sleep(0.005)
        assert (told.places[0].waiting, told.places[0].limit) == (1, 1)
        hold.set()
        assert [answer.status for answer in await asyncio.gather(one, two)] == [200, 200]
    first, second = collector.told("attempt")
    assert "queued_ms" not in first
    assert second["queued_ms"] > 0


async def test_of_several_endpoints_the_one_that_was_asked_is_named(traced, document, upstream, second_upstream):
    entry = document["upstreams"][0]
    entry["base_urls"] = [entry.pop("base_url"), second_upstream.base_url]
    upstream.enqueue(Failure(500))
    second_upstream.enqueue(Failure(500))
    async with traced() as (suite, collector):
        assert (await suite.ask(headers=TRACEPARENT)).status in (200, 502)
    told = collector.told("attempt")
    places = {url.partition("://")[2] for url in entry["base_urls"]}
    assert {attempt["endpoint"].partition("#")[0] for attempt in told} <= places
    assert len({attempt["endpoint"] for attempt in told}) == 2

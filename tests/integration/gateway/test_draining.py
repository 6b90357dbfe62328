"""Shutting down: what is in flight ends well, what arrives is told to go elsewhere."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.testing.openai_upstream import Answer, End

LONG = timedelta(seconds=60)


def grpc_chat(suite):
    request = pb.ChatRequest()
    request.input.model = "fast"
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hi")
    return ChatServiceStub(suite.channel).Chat(request, metadata=(("x-api-key", suite.KEY),), timeout=30)


async def health(suite):
    stub = health_pb2_grpc.HealthStub(suite.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest())).status


async def test_running_answers_finish_while_arrivals_are_refused(suite, upstream, hold):
    upstream.enqueue(Answer(tokens=["one", "two"], hold={2: hold}))
    async with suite.open_stream() as response:
        received = await response.content.readuntil(b"\n\n")
        draining = asyncio.create_task(suite.gateway.drain(LONG))
        while await health(suite) == health_pb2.HealthCheckResponse.SERVING:
            pass
        refused = await suite.ask()
        assert refused.status == 503
        assert (refused.error["type"], refused.error["code"]) == ("server_error", "overloaded")
        assert refused.header["retry-after"] == "1"
        # Nothing was done for it, so the edge may give it to another gateway.
        assert refused.header["x-penstock-refused"] == "1"
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await grpc_chat(suite)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        raw = dict(failed.value.trailing_metadata())["grpc-status-details-bin"]
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status_pb2.Status.FromString(raw).details)
        assert retry.retry_delay.seconds == 1
        assert not draining.done()
        hold.set()
        received += await response.read()
    assert received.endswith(b"data: [DONE]\n\n")
    await draining
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["ok"]


async def test_drain_ends_at_once_when_nobody_is_inside(suite):
    async with asyncio.timeout(60):
        await suite.gateway.drain(LONG)


async def test_what_outlasts_the_grace_is_cut_and_settled(suite, upstream):
    upstream.enqueue(Answer(tokens=["12345678"], stop_after=2, end=End.STALL))
    async with suite.open_stream() as response:
        await response.content.readuntil(b"\n\n")
        await suite.gateway.drain(timedelta(milliseconds=50))
        (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["usage_estimated"], row["output_tokens"]) == ("cancelled", 1, 2)


async def test_full_gateway_refuses_and_lets_in_again(serve, document, upstream, hold):
    document["gateway"]["max_in_flight"] = 1
    suite = await serve()
    upstream.enqueue(Answer(hold={2: hold}))
    async with suite.open_stream() as response:
        refused = await suite.ask()
        assert (refused.status, refused.error["code"]) == (503, "overloaded")
        assert refused.header["x-penstock-refused"] == "1"
        assert "retry-after" in refused.header
        hold.set()
        await response.read()
    assert (await suite.ask()).status == 200

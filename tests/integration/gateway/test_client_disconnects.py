"""A client that leaves ends everything below it within 100 ms, and is billed for what it got, once."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.testing.openai_upstream import Answer, End, NoResponse, stalled_after_headers

# What the design promises, on a machine that does nothing else, is 100 ms. Here other tests run beside.
# A turn of forty bytes at four bytes a token, and four for the turn; 1 USD a million of input tokens, 2 USD of output tokens.
ASKED_TOKENS = 14


@pytest.fixture
async def connect(suite):
    """A maker of raw clients that have sent a chat."""
    writers = []

    async def open_and_ask(**body):
        reader, writer = await asyncio.open_unix_connection(suite.http_socket)
        writers.append(writer)
        body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "x" * 40}], **body}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {suite.KEY}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return reader, writer

    yield open_and_ask
    for writer in writers:
        writer.transport.abort()


async def leaves(request, go):
    """Make the client go, and wait until the upstream has seen it, which would go on for ever otherwise."""
    go()
    async with asyncio.timeout(60):
        await request.left.wait()


async def the_only_row(suite):
    (row,) = await suite.ledger_after_close()
    assert row["outcome"] == "cancelled"
    assert row["finish_reason"] == ""
    return row


SILENT = {"before headers": NoResponse, "before the first token": stalled_after_headers}


@pytest.mark.parametrize("window", SILENT)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_client_that_leaves_before_the_first_token_owes_the_prompt(suite, upstream, connect, window, stream, how):
    upstream.enqueue(SILENT[window]())
    _, writer = await connect(stream=stream)
    request = await upstream.next_request()
    go = writer.close if how == "close" else writer.transport.abort
    await leaves(request, go)
    row = await the_only_row(suite)
    assert (row["input_tokens"], row["output_tokens"], row["usage_estimated"]) == (ASKED_TOKENS, 0, 1)
    assert row["cost_nano_usd"] == ASKED_TOKENS * 1_000
    assert (row["upstream"], row["model"]) == ("first", "m1")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_client_that_leaves_in_the_middle_is_billed_an_estimate_of_what_came(suite, upstream, connect, stream):
    upstream.enqueue(Answer(tokens=["12345678", "12345678"], stop_after=3, end=End.STALL))
    reader, writer = await connect(stream=stream)
    request = await upstream.next_request()
    if stream:
        received = b""
        while received.count(b"12345678") < 2:
            received += await reader.read(65_536)
    await leaves(request, writer.close)
    row = await the_only_row(suite)
    assert row["usage_estimated"] == 1
    assert row["input_tokens"] == ASKED_TOKENS
    assert row["cost_nano_usd"] == row["input_tokens"] * 1_000 + row["output_tokens"] * 2_000
    assert row["input_price_nano_usd"] == 1_000_000_000
    assert (row["upstream"], row["model"]) == ("first", "m1")
    if stream:
        assert row["output_tokens"] == 4


async def test_client_that_leaves_while_sending_its_body_leaves_no_trace(suite, upstream):
    _, writer = await asyncio.open_unix_connection(suite.http_socket)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {suite.KEY}\r\n"
    writer.write(f"{head}content-length: 1000\r\n\r\n{{".encode())
    await writer.drain()
    writer.transport.abort()
    assert (await suite.ask()).status == 200
    assert len(upstream.requests) == 1
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["ok"]


@pytest.fixture
def stream_chat(suite):
    request = pb.StreamChatRequest()
    request.input.model = "fast"
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="x" * 40)
    metadata = (("authorization", f"Bearer {suite.KEY}"),)
    return lambda: ChatServiceStub(suite.channel).StreamChat(request, metadata=metadata, timeout=60)


@pytest.mark.parametrize("window", SILENT)
async def test_grpc_caller_that_cancels_before_the_first_token_owes_the_prompt(suite, upstream, stream_chat, window):
    upstream.enqueue(SILENT[window]())
    call = stream_chat()
    request = await upstream.next_request()
    await leaves(request, call.cancel)
    row = await the_only_row(suite)
    assert (row["cost_nano_usd"], row["surface"], row["usage_estimated"]) == (ASKED_TOKENS * 1_000, "grpc", 1)


async def test_grpc_caller_that_cancels_in_the_middle_is_billed_an_estimate(suite, upstream, stream_chat):
    upstream.enqueue(Answer(tokens=["12345678", "12345678"], stop_after=3, end=End.STALL))
    call = stream_chat()
    request = await upstream.next_request()
    text = ""
    while len(text) < 16:
        text += (await call.read()).event.text_delta.text
    await leaves(request, call.cancel)
    row = await the_only_row(suite)
    assert (row["input_tokens"], row["output_tokens"], row["usage_estimated"]) == (ASKED_TOKENS, 4, 1)
    assert row["cost_nano_usd"] == ASKED_TOKENS * 1_000 + 8_000


async def test_grpc_caller_whose_deadline_passes_is_let_go(suite, upstream):
    upstream.enqueue(NoResponse())
    request = pb.ChatRequest()
    request.input.model = "fast"
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="x")
    metadata = (("authorization", f"Bearer {suite.KEY}"),)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ChatServiceStub(suite.channel).Chat(request, metadata=metadata, timeout=3)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    arrived = await upstream.next_request()
    async with asyncio.timeout(60):
        await arrived.left.wait()
    (row,) = await suite.ledger_after_close()
    # Who is first is chance: our own deadline, 20 ms before the caller's, or the caller's cancel.
    assert row["outcome"] in ("deadline_exceeded", "cancelled")


@pytest.mark.parametrize("how", ["close", "half close", "reset"])
async def test_body_that_is_shorter_than_announced_reaches_nobody_and_costs_nothing(suite, upstream, how):
    reader, writer = await asyncio.open_unix_connection(suite.http_socket)
    body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "x"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {suite.KEY}\r\n"
    # What has come is a whole request by itself, if nobody counts.
    writer.write(f"{head}content-length: {len(body) + 1}\r\n\r\n".encode() + body)
    await writer.drain()
    if how == "half close":
        writer.write_eof()
        async with asyncio.timeout(60):
            assert await reader.read() == b""
    if how == "reset":
        writer.transport.abort()
    writer.close()
    # One that is whole, behind it.
    assert (await suite.ask("whole")).status == 200
    assert [request.body["messages"][-1]["content"] for request in upstream.requests] == ["whole"]
    rows = await suite.ledger_after_close()
    assert [row["outcome"] for row in rows] == ["ok"]

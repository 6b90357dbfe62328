"""A caller who never reads loses its place, its lease and its connection soon after its deadline, on every surface."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack

import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.testing.openai_upstream import Answer

CALLERS = 2
"""As many as the tenant may run at once."""
MUCH = Answer(tokens=["x" * 60_000] * 400)
SHORT_TIME = "1s"


@pytest.fixture
def document(document):
    document["tenants"][2]["tier"] = {"requests_per_minute": 1000, "concurrent_requests": CALLERS}
    return document


async def until(is_so):
    async with asyncio.timeout(40):
        while not is_so():
            await asyncio.sleep(0.02)


def deaf_caller(suite, *, stream=True):
    """Return a socket that has asked and takes as little as a socket can."""
    connection = socket.socket(socket.AF_UNIX)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    connection.settimeout(20)
    connection.connect(suite.http_socket)
    body = json.dumps(
        {"model": "fast", "messages": [{"role": "user", "content": "a"}], "stream": stream}
    ).encode()  # fmt: skip
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {suite.FREE_KEY}\r\n"
        f"x-penstock-timeout: {SHORT_TIME}\r\nx-penstock-cache: no-store\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


async def is_served(suite):
    """Return once the tenant's places are free: the deadline only matters where they never are."""
    async with asyncio.timeout(40):
        while (await suite.ask("b", key=suite.FREE_KEY)).status == 429:
            await asyncio.sleep(0.05)


async def test_over_http(suite, upstream):
    upstream.enqueue(*[MUCH] * CALLERS)
    with ExitStack() as stack:
        deaf = [stack.enter_context(deaf_caller(suite)) for _ in range(CALLERS)]
        await until(lambda: len(upstream.requests) == CALLERS)
        await is_served(suite)
        await until(lambda: suite.gateway._door.in_flight == 0)
        for connection in deaf:
            assert await asyncio.to_thread(is_cut, connection)
    for row in await suite.ledger_after_close():
        assert row["outcome"] in ("deadline_exceeded", "ok")


def is_cut(connection):
    """Read all there is; return whether it breaks off. On a slow machine its time may be over before anything is sent."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received = received[:100] + received[100:][-100:] + piece
            if received.endswith(b"0\r\n\r\n") or received.startswith(b"HTTP/1.1 504"):
                break
    except ConnectionError:
        pass
    return received.startswith(b"HTTP/1.1 504") or not received.endswith(b"0\r\n\r\n")


async def test_over_grpc(suite, upstream):
    upstream.enqueue(*[MUCH] * CALLERS)
    request = pb.StreamChatRequest()
    request.input.model = "fast"
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="a")
    head = (
        ("authorization", f"Bearer {suite.FREE_KEY}"),
        ("x-penstock-timeout", SHORT_TIME),
        ("x-penstock-cache", "no-store"),
    )
    deaf = [ChatServiceStub(suite.channel).StreamChat(request, metadata=head) for _ in range(CALLERS)]
    await until(lambda: len(upstream.requests) == CALLERS)
    await is_served(suite)
    await until(lambda: suite.gateway._door.in_flight == 0)
    for call in deaf:
        call.cancel()
    for row in await suite.ledger_after_close():
        assert row["outcome"] in ("deadline_exceeded", "ok")

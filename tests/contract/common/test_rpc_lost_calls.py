"""What the transport lost is asked again, whatever its size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

from penstock_common.errors import Overloaded, ServiceUnavailable
from penstock_common.rpc.channel import MAX_MESSAGE_BYTES, SocketChannel, open_channel
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.server import ServerOptions, listening
from penstock_common.rpc.server_call import ServerCall
from penstock_common.rpc.server_interceptors import FinalFailures
from penstock_common.service import Service


class Raw:
    """Bytes as they are."""

    def encode(self, value: bytes, /) -> bytes:
        return value

    def decode(self, message: bytes, /) -> bytes:
        return message


METHOD = UnaryMethod[bytes, bytes]("/penstock.test.v1.EchoService/Say", Raw(), Raw())


class LosingOnce(grpc.GenericRpcHandler):
    """Fails the first call as a transport does that is going away, and answers the next."""

    def __init__(self) -> None:
        self.calls = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        if self.calls == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        return b"answer"


@pytest.fixture
async def listener() -> AsyncIterator[tuple[str, LosingOnce]]:
    handler = LosingOnce()
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)])
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}", handler
    await server.stop(None)


# gRPC keeps 256 KiB of a call for another attempt unless told otherwise; a picture in a question is larger.
@pytest.mark.parametrize("size_bytes", [10, 255 << 10, 300 << 10, 4 << 20])
async def test_lost_call_is_repeated_whatever_its_size(listener: tuple[str, LosingOnce], size_bytes: int):
    target, handler = listener
    async with open_channel(target) as channel:
        assert await SocketChannel(channel).call(METHOD, b"q" * size_bytes, timeout=20) == b"answer"
    assert handler.calls == 2


class Stopping(grpc.GenericRpcHandler):
    """Answers CANCELLED, as a server that stops does to what it never began."""

    def __init__(self) -> None:
        self.calls = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        await context.abort(grpc.StatusCode.CANCELLED, "shutting down")
        raise AssertionError


async def test_a_server_that_goes_on_stopping_is_unavailable_and_nobody_is_cancelled():
    handler = Stopping()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(ServiceUnavailable):
            await SocketChannel(channel).call(METHOD, b"q", timeout=20)
    await server.stop(None)
    assert handler.calls == 4


async def test_what_the_service_itself_fails_at_is_not_asked_again():
    asked: list[bytes] = []

    async def failing(request: bytes, call: ServerCall) -> bytes:
        asked.append(request)
        raise Overloaded("Too much.", retry_after=timedelta(seconds=1))

    service = Service("echo", (METHOD.served_by(failing),))
    async with (
        listening("127.0.0.1:0", [service], [FinalFailures()], ServerOptions(reflection=False)) as listening_server,
        open_channel(f"127.0.0.1:{listening_server.port}") as channel,
    ):
        with pytest.raises(Overloaded):
            await SocketChannel(channel).call(METHOD, b"q", timeout=20)
    assert asked == [b"q"]

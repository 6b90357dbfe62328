"""What the transport lost is asked again, whatever its size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from penstock_common.rpc.channel import open_channel
from penstock_common.rpc.in_process import MAX_MESSAGE_BYTES

METHOD = "/penstock.test.Echo/Say"


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
        assert await channel.unary_unary(METHOD)(b"q" * size_bytes, timeout=20) == b"answer"
    assert handler.calls == 2

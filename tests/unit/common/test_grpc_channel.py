"""What is left of calls that are over: nothing, without any help of the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import weakref

import grpc
import pytest

from penstock_common.rpc.grpc_channel import grpc_channel

_WHOLE, _PIECES = "/test.Echo/Whole", "/test.Echo/Pieces"


async def _whole(request, _context):
    return request


async def _pieces(request, _context):
    yield request


@pytest.fixture
async def target():
    server = grpc.aio.server()
    methods = {
        "Whole": grpc.unary_unary_rpc_method_handler(_whole),
        "Pieces": grpc.unary_stream_rpc_method_handler(_pieces),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


async def _read(channel, path):
    """Return a call that is over and that nobody here holds any longer."""
    call = channel.unary_unary(path)(b"x") if path == _WHOLE else channel.unary_stream(path)(b"x")
    assert (await call if path == _WHOLE else [piece async for piece in call]) in (b"x", [b"x"])
    return weakref.ref(call)


@pytest.mark.parametrize("path", [_WHOLE, _PIECES])
async def test_a_call_that_is_over_is_gone_without_the_garbage_collector(target, path, no_collector):
    async with grpc_channel(target, ()) as channel:
        ended = [await _read(channel, path) for _ in range(5)]
        async with asyncio.timeout(30):
            while any(call() is not None for call in ended):
                await asyncio.sleep(0.01)


async def test_a_channel_that_closes_cancels_what_is_under_way(target):
    channel = grpc_channel(target, ())
    call = channel.unary_unary(_WHOLE)(b"x")
    await channel.close()
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call

"""A port inside the suite reads nothing of who does not prove itself, and bounds what the others send."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded, StreamReset

from penstock.llm.v1 import message_pb2
from penstock_common.errors import InvalidCredentials, InvalidRequest, RateLimited
from penstock_common.rpc.message_bounds import MessageBounds
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import same
from penstock_common.rpc.reading import ReadingLimits
from penstock_common.rpc.security import TOKEN_KEY, TokenGuard
from penstock_common.rpc.server import GrpcLimits, ServerOptions, listening
from penstock_common.rpc.unread import UnreadLimits
from penstock_common.service import Service
from penstock_common.status import error_from_rpc
from penstock_common.testing.garbage import uncollected

METHOD = UnaryMethod("/penstock.test.v1.EchoService/Say", same(message_pb2.Message), same(message_pb2.Message))
PATIENCE_SECONDS = 30
TOKEN = "t" * 32
PROOF = ((TOKEN_KEY, TOKEN),)


@pytest.fixture
async def open_port():
    """A function that listens with limits, and returns a channel to it and how many requests were served."""
    served = []

    async def say(request, call):
        served.append(request)
        return request

    async with AsyncExitStack() as stack:

        async def start(unread=None, **reading):
            service = Service("test", [METHOD.served_by(say)])
            limits = GrpcLimits(reading=ReadingLimits(**reading), unread=unread or UnreadLimits())
            options = ServerOptions(reflection=False, limits=limits)
            listener = await stack.enter_async_context(
                listening("127.0.0.1:0", [service], [TokenGuard(TOKEN)], options)
            )
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}"))
            channel.target = f"127.0.0.1:{listener.port}"
            return channel, served

        yield start


async def never():
    await asyncio.Event().wait()
    yield b""


async def refusal(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await asyncio.wait_for(awaitable, PATIENCE_SECONDS)
    return error_from_rpc(failed.value)


@pytest.mark.parametrize("metadata", [(), ((TOKEN_KEY, "x" * 32),)])
async def test_who_does_not_prove_itself_is_refused_before_its_message_is_read(open_port, metadata):
    channel, served = await open_port()
    error = await refusal(channel.stream_unary(METHOD.path)(never(), metadata=metadata))
    assert isinstance(error, InvalidCredentials)
    assert served == []


async def sent_to_path(target, path):
    """Send a call to a path of any bytes, and return once the server has ended it."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    session = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
    session.initiate_connection()
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"x"),
        (b":path", path),
        (b"te", b"trailers"),
    ]
    session.send_headers(1, [*fields, (b"content-type", b"application/grpc")])
    session.send_data(1, bytes(5), end_stream=True)
    writer.write(session.data_to_send())
    try:
        while received := await asyncio.wait_for(reader.read(65536), PATIENCE_SECONDS):
            if any(isinstance(event, StreamEnded | StreamReset) for event in session.receive_data(received)):
                return
    finally:
        writer.close()


# Some versions of grpcio end the whole server over it.
async def test_a_path_that_is_no_text_ends_its_own_call_alone(open_port):
    channel, served = await open_port()
    await sent_to_path(channel.target, b"/\xa6\xac/Say")
    message = message_pb2.Message(tool_call_id="x")
    await channel.unary_unary(METHOD.path)(message.SerializeToString(), metadata=PROOF, timeout=PATIENCE_SECONDS)
    assert served == [message]


async def test_garbage_is_an_invalid_request(open_port):
    channel, served = await open_port()
    error = await refusal(channel.unary_unary(METHOD.path)(b"\xff\xff\xff", metadata=PROOF))
    assert isinstance(error, InvalidRequest)
    assert "penstock.llm.v1.Message" in error.message
    assert served == []


@pytest.mark.parametrize("parts", [9_000, 600_000])
async def test_elements_are_bounded_in_small_messages_and_large_ones(open_port, parts):
    channel, served = await open_port(bounds=MessageBounds(max_elements=5_000))
    # A part is field 2; two bytes each.
    error = await refusal(channel.unary_unary(METHOD.path)(b"\x12\x00" * parts, metadata=PROOF))
    assert isinstance(error, InvalidRequest)
    assert "5000 elements" in error.message
    few = await channel.unary_unary(METHOD.path)(b"\x12\x00" * 4_999, metadata=PROOF, timeout=PATIENCE_SECONDS)
    assert len(message_pb2.Message.FromString(few).parts) == 4_999


async def test_a_call_that_brings_no_message_is_an_invalid_request(open_port):
    channel, _ = await open_port()

    async def nothing():
        return
        yield b""

    assert isinstance(await refusal(channel.stream_unary(METHOD.path)(nothing(), metadata=PROOF)), InvalidRequest)


async def test_turns_are_bounded_and_come_back(open_port):
    channel, served = await open_port(at_once=1, timeout=timedelta(milliseconds=200))
    slow = channel.stream_unary(METHOD.path)(never(), metadata=PROOF)
    kinds = [
        type(await refusal(call)).__name__
        for call in (slow, channel.stream_unary(METHOD.path)(never(), metadata=PROOF))
    ]
    assert set(kinds) <= {"DeadlineExceeded", RateLimited.__name__}
    await channel.unary_unary(METHOD.path)(b"", metadata=PROOF, timeout=PATIENCE_SECONDS)
    assert len(served) == 1


async def test_who_reads_no_answers_gets_no_more_until_it_leaves(open_port):
    # An answer larger than any window waits at the server for as long as its caller does not read.
    channel, served = await open_port(unread=UnreadLimits(most_of_one=1_000_000))
    request = message_pb2.Message(name="x" * 5_000_000).SerializeToString()
    options = [("grpc.http2.bdp_probe", 0), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(channel.target, options=options) as deaf:
        unread = deaf.stream_stream(METHOD.path)(metadata=PROOF)
        await unread.write(request)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not served:
                await asyncio.sleep(0.01)
        error = await refusal(channel.unary_unary(METHOD.path)(b"", metadata=PROOF))
        assert isinstance(error, RateLimited)
        assert error.limit == "unread_answers"
        unread.cancel()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await channel.unary_unary(METHOD.path)(b"", metadata=PROOF).code() is not grpc.StatusCode.OK:
                await asyncio.sleep(0.01)


async def test_calls_that_were_refused_leave_nothing_to_the_garbage_collector(open_port):
    def left() -> int:
        return sum(isinstance(each, grpc.aio.AbortError) for each in gc.get_objects())

    channel, _ = await open_port()
    with uncollected():
        for _ in range(40):
            await refusal(channel.unary_unary(METHOD.path)(b"", metadata=()))
        async with asyncio.timeout(PATIENCE_SECONDS):
            # The last ones may be on their way out, and without the collector nothing else takes them away.
            while left() >= 10:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def unguarded_channel(behaviour):
    """Yield a channel to a server that asks nobody who they are."""
    service = Service("test", [METHOD.served_by(behaviour)])
    async with AsyncExitStack() as stack:
        unguarded = listening("127.0.0.1:0", [service], [], ServerOptions(reflection=False))
        port = (await stack.enter_async_context(unguarded)).port
        yield await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))


async def test_errors_that_are_the_cause_of_one_another_are_an_answer_all_the_same():
    async def say(request, call):
        refused, cause = InvalidRequest("No."), KeyError("x")
        refused.__cause__, cause.__cause__ = cause, refused
        raise refused

    async with unguarded_channel(say) as channel:
        call = channel.unary_unary(METHOD.path)(b"", timeout=PATIENCE_SECONDS)
        assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_what_was_refused_is_not_kept_with_its_call():
    """grpcio keeps a call's last error until the collector comes, and an error knows the frames that it has passed."""
    seen = []

    class Large:
        """Stands for a message of many megabytes."""

    async def say(request, call):
        large = Large()
        seen.append(weakref.ref(large))
        try:
            raise KeyError(large.__class__)
        except KeyError as error:
            raise InvalidRequest("No.") from error

    with uncollected():
        async with unguarded_channel(say) as channel:
            for _ in range(3):
                call = channel.unary_unary(METHOD.path)(b"")
                assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
            async with asyncio.timeout(PATIENCE_SECONDS):
                while any(one() is not None for one in seen):
                    await asyncio.sleep(0.01)
    assert len(seen) == 3

"""What strangers and cheap keys can make the gRPC port hold and do."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.rpc.open_services import MAX_REQUEST_BYTES
from penstock_common.testing.openai_upstream import Answer
from penstock_gateway.domain.access.policy import POLICIES

Code = grpc.StatusCode
CHAT = "/penstock.gateway.v1.ChatService/Chat"
STREAM_CHAT = "/penstock.gateway.v1.ChatService/StreamChat"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
PATIENCE_SECONDS = 30
RPCS = [path for path in POLICIES if path.startswith("/penstock.")]


def head(key):
    return (("authorization", f"Bearer {key}"),)


def info_of(error):
    """Return the ErrorInfo of a failed call."""
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status_pb2.Status.FromString(raw).details)
    return info


async def refusal(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await asyncio.wait_for(awaitable, PATIENCE_SECONDS)
    return failed.value


async def never():
    """Send nothing, and do not end."""
    await asyncio.Event().wait()
    yield b""


async def nobody_inside(suite):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while suite.gateway._door.in_flight:
            await asyncio.sleep(0.01)


async def rest_of(call):
    while await call.read() is not grpc.aio.EOF:
        pass


def request_of(turns):
    """Return the bytes of a ChatRequest with so many empty turns."""
    inner = b"\x0a\x04fast" + b"\x12\x00" * turns
    return pb.ChatRequest(input={"model": "fast"}).SerializeToString() + b"\x0a" + _varint(len(inner)) + inner


def _varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize("path", RPCS)
@pytest.mark.parametrize("metadata", [(), head("psk_guess_guess_guess")], ids=["no key", "a guess"])
async def test_a_stranger_is_refused_before_its_message_is_read(suite, path, metadata):
    # One who never sends it can only be refused by a server that does not wait for it.
    call = suite.channel.stream_unary(path)(never(), metadata=metadata, timeout=PATIENCE_SECONDS)
    error = await refusal(call)
    assert (error.code(), info_of(error).reason) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")


@pytest.mark.parametrize("path", [CHAT, STREAM_CHAT, "/penstock.gateway.v1.EmbeddingService/Embed"])
async def test_garbage_is_an_invalid_argument_that_names_no_class(suite, path):
    call = suite.channel.unary_stream(path)(b"\xff\xff\xff\xff", metadata=head(suite.KEY), timeout=PATIENCE_SECONDS)
    error = await refusal(call.read())
    assert (error.code(), info_of(error).reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "Error" not in error.details()


@pytest.mark.parametrize("path", [CHECK, WATCH, REFLECTION])
@pytest.mark.parametrize("message", [b"\xff\xff\xff\xff", b"\x0a\xff\xff\xff\x0f" + bytes(MAX_REQUEST_BYTES)])
async def test_what_asks_for_no_key_decodes_no_garbage_either(suite, path, message):
    error = await refusal(suite.channel.unary_stream(path)(message, timeout=PATIENCE_SECONDS).read())
    assert (error.code(), info_of(error).reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "Error" not in error.details()


async def test_elements_are_bounded_as_well_as_bytes(suite, upstream):
    call = suite.channel.unary_unary(CHAT)(request_of(300_000), metadata=head(suite.KEY), timeout=PATIENCE_SECONDS)
    error = await refusal(call)
    assert (error.code(), info_of(error).reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "100000 elements" in error.details()
    assert upstream.requests == []


async def test_a_large_image_passes(suite, upstream):
    request = pb.ChatRequest()
    request.input.model = "fast"
    message = request.input.messages.add(role=message_pb2.ROLE_USER)
    message.parts.add(text="What is this?")
    message.parts.add(image=message_pb2.Image(media_type="image/png", data=b"\x89PNG" + bytes(15_000_000)))
    await ChatServiceStub(suite.channel).Chat(request, metadata=head(suite.KEY), timeout=PATIENCE_SECONDS)
    assert len(upstream.requests[0].raw_body) > 15_000_000


async def test_a_message_that_does_not_come_ends_its_call(serve, document):
    document["gateway"]["grpc_message_timeout"] = "100ms"
    suite = await serve()
    call = suite.channel.stream_unary(CHAT)(never(), metadata=head(suite.KEY), timeout=PATIENCE_SECONDS)
    error = await refusal(call)
    assert (error.code(), "message did not arrive" in error.details()) == (Code.DEADLINE_EXCEEDED, True)


async def test_who_sends_slowly_takes_the_turns_of_no_other_key(serve, document):
    document["gateway"] |= {"grpc_reads_per_key": 2, "grpc_message_timeout": "500ms"}
    suite = await serve()
    slow = [suite.channel.stream_unary(CHAT)(never(), metadata=head(suite.KEY)) for _ in range(6)]
    request = pb.ChatRequest(input={"model": "fast"})
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hi")
    chats = ChatServiceStub(suite.channel)
    for _ in range(5):
        await chats.Chat(request, metadata=head(suite.OTHER_KEY), timeout=PATIENCE_SECONDS)
    codes = {(await refusal(call)).code() for call in slow}
    assert codes <= {Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED}
    await chats.Chat(request, metadata=head(suite.KEY), timeout=PATIENCE_SECONDS)


async def test_who_does_not_read_is_cut_off_and_holds_no_place(serve, document, upstream):
    document["gateway"]["write_timeout"] = "300ms"
    suite = await serve()
    # More than any window holds, so that sending blocks.
    upstream.enqueue(*[Answer(tokens=["x" * 100_000] * 200)] * 2)
    # The tier lets two in at once. An answer each: those to equal questions would be one.
    metadata = (*head(suite.FREE_KEY), ("x-penstock-cache", "no-store"))
    request = pb.StreamChatRequest(input={"model": "fast"})
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hi")
    calls = [ChatServiceStub(suite.channel).StreamChat(request, metadata=metadata) for _ in range(2)]
    for call in calls:
        await call.read()
    await nobody_inside(suite)
    assert len(upstream.requests) == 2
    answered = await suite.ask(key=suite.FREE_KEY)
    assert answered.status == 200
    # Who reads on after all learns that it was cut.
    for call in calls:
        assert (await refusal(rest_of(call))).code() is Code.DEADLINE_EXCEEDED


async def test_the_exchange_ends_at_its_own_deadline_though_nobody_reads(serve, document, upstream):
    document["gateway"]["stream_timeout"] = "3s"
    suite = await serve()
    upstream.enqueue(Answer(tokens=["x" * 100_000] * 200))
    request = pb.StreamChatRequest(input={"model": "fast"})
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hi")
    call = ChatServiceStub(suite.channel).StreamChat(request, metadata=head(suite.KEY))
    await call.read()
    await nobody_inside(suite)
    error = await refusal(rest_of(call))
    assert (error.code(), info_of(error).reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


async def test_whoever_watches_goes_on_when_another_leaves(suite):
    stub = health_pb2_grpc.HealthStub(suite.channel)
    staying, leaving = (stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2))
    for watch in (staying, leaving):
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    leaving.cancel()
    another = stub.Watch(health_pb2.HealthCheckRequest())
    await another.read()
    await suite.gateway._listener.set_serving(serving=False)
    for watch in (staying, another):
        told = await asyncio.wait_for(watch.read(), PATIENCE_SECONDS)
        assert told.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_calls_without_a_key_are_bounded_in_number(suite, monkeypatch):
    monkeypatch.setattr("penstock_common.rpc.open_services.MAX_CALLS_OF_AN_ADDRESS", 3)
    stub = health_pb2_grpc.HealthStub(suite.channel)
    watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
    for watch in watches:
        await watch.read()
    error = await refusal(stub.Watch(health_pb2.HealthCheckRequest()).read())
    assert (error.code(), info_of(error).reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    watches.pop().cancel()
    # Given back once the server has heard of it.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await code_of(stub.Check(health_pb2.HealthCheckRequest())) is not Code.OK:
            await asyncio.sleep(0.01)


async def code_of(call):
    return await call.code()

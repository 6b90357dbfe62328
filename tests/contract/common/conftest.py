"""A service of two methods, given by a test, behind either transport and on either event loop."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import uvloop

from penstock_common.errors import InvalidRequest
from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.rpc.method import DuplexMethod, StreamMethod, UnaryMethod
from penstock_common.rpc.server import GrpcLimits, ServerOptions, listening
from penstock_common.rpc.server_interceptors import IncomingScope
from penstock_common.service import Service
from penstock_common.testing.transports import IN_PROCESS, SOCKET, CheckedChannel

MAX_MESSAGE_BYTES = 256 * 1024
INSIDE = (IncomingScope(),)


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config, item):
    """Both loops: they differ in when callbacks and cancellations run."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Note(msgspec.Struct, frozen=True):
    """What the test service's methods take and give."""

    text: str = ""


class NoteCodec:
    """Counts what it decodes, so that a test sees whether it was asked to."""

    def __init__(self):
        self.decoded = 0

    def encode(self, value):
        return msgspec.msgpack.encode(value)

    def decode(self, message):
        self.decoded += 1
        try:
            return msgspec.msgpack.decode(message, type=Note)
        except msgspec.DecodeError:
            raise InvalidRequest("The bytes are no note.") from None


async def _echo(request, call):
    return request


async def _nothing(request, call):
    return
    yield


class Client:
    """Methods of the test service, and a channel to whoever serves them."""

    def __init__(self):
        self.codec = NoteCodec()
        self.ask_method = UnaryMethod("/penstock.test.v1.TestService/Ask", self.codec, NoteCodec())
        self.tell_method = StreamMethod("/penstock.test.v1.TestService/Tell", self.codec, NoteCodec())
        self.talk_method = DuplexMethod("/penstock.test.v1.TestService/Talk", NoteCodec(), NoteCodec())
        self.unserved = UnaryMethod("/penstock.test.v1.TestService/Nothing", NoteCodec(), NoteCodec())
        self.channel = None
        self.grpc = None

    def handlers(self, unary, stream, duplex=_nothing):
        return (
            self.ask_method.served_by(unary), self.tell_method.served_by(stream), self.talk_method.served_by(duplex),
        )  # fmt: skip

    def ask(self, text="", **options):
        return self.channel.call(self.ask_method, Note(text), **options)

    def tell(self, text="", **options):
        return self.channel.stream(self.tell_method, Note(text), **options)

    def talk(self, notes, **options):
        return self.channel.exchange(self.talk_method, notes, **options)


@asynccontextmanager
async def serving(
    transport, unary=_echo, stream=_nothing, interceptors=INSIDE, duplex=_nothing, write_timeout=timedelta(seconds=60)
):
    client = Client()
    service = Service("test", client.handlers(unary, stream, duplex))
    if transport == IN_PROCESS:
        client.channel = CheckedChannel(InProcessChannel(service.handlers))
        yield client
        return
    limits = GrpcLimits(
        max_request_bytes=MAX_MESSAGE_BYTES, max_response_bytes=MAX_MESSAGE_BYTES, write_timeout=write_timeout
    )
    options = ServerOptions(reflection=False, limits=limits)
    async with (
        listening("127.0.0.1:0", [service], interceptors, options) as listener,
        open_channel(f"127.0.0.1:{listener.port}") as channel,
    ):
        client.channel, client.grpc = SocketChannel(channel), channel
        yield client


@pytest.fixture
def served(transport):
    """``async with served(unary=…, stream=…) as client``."""

    def served(**behaviours):
        return serving(transport, **behaviours)

    return served


@pytest.fixture
def served_by_socket():
    """``async with served_by_socket(unary=…, stream=…, interceptors=…) as client``."""

    def served(**behaviours):
        return serving(SOCKET, **behaviours)

    return served


@pytest.fixture
def note():
    """Makes what the methods take and give."""
    return Note


@pytest.fixture
def texts_of():
    """Reads a stream to its end, whatever that is, and closes it."""

    async def read(responses):
        try:
            return [response.text async for response in responses]
        finally:
            await responses.aclose()

    return read


@dataclass
class Servicing:
    """A servicer that starts, waits until it is ended, and notes what ended it."""

    seen: Any = None

    def __post_init__(self):
        self.started = asyncio.Event()
        self.ended = asyncio.Event()

    async def unary(self, request, call):
        async with self:
            await asyncio.Event().wait()

    async def stream(self, request, call):
        """One response, then silence."""
        async with self:
            yield Note("first")
            await asyncio.Event().wait()

    async def flood(self, request, call):
        """Responses without end: it is suspended where it yields."""
        async with self:
            while True:
                yield Note("x" * 1000)

    async def __aenter__(self):
        self.started.set()

    async def __aexit__(self, kind, error, traceback):
        self.seen = kind
        self.ended.set()

    async def until_ended(self):
        """Wait until the servicer's ``finally`` has run."""
        async with asyncio.timeout(60):
            await self.ended.wait()


@pytest.fixture
def servicing():
    return Servicing()


class Journal:
    """An interceptor that writes down what it sees, in one list for several of them."""

    def __init__(self, name, entries, refusal=None, defect=None):
        self._name = name
        self._entries = entries
        self._refusal = refusal
        self._defect = defect
        self.ended = asyncio.Event()

    async def on_start(self, call):
        self._entries.append((self._name, "start", call.path))
        if self._refusal is not None:
            raise self._refusal

    def on_end(self, call, error):
        self._entries.append((self._name, "end", type(error)))
        self.ended.set()
        if self._defect is not None:
            raise self._defect


@pytest.fixture
def journal():
    return Journal

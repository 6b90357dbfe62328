"""A service of two methods, given by a test, behind either transport and on either event loop."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from penstock.inference.v1 import inference_service_pb2 as inference
from penstock.inference.v1.inference_service_pb2_grpc import (
    InferenceServiceServicer,
    InferenceServiceStub,
    add_InferenceServiceServicer_to_server,
)
from penstock.router.v1 import router_service_pb2 as router
from penstock.router.v1.router_service_pb2_grpc import (
    RouterServiceServicer,
    RouterServiceStub,
    add_RouterServiceServicer_to_server,
)
from penstock_common.rpc.channel import open_channel
from penstock_common.rpc.in_process import InProcessChannel, InProcessServer
from penstock_common.rpc.server import ServerOptions, listening
from penstock_common.service import Service
from penstock_common.testing.transports import IN_PROCESS

MAX_MESSAGE_BYTES = 256 * 1024
ROUTE = "/penstock.router.v1.RouterService/Route"
GENERATE = "/penstock.inference.v1.InferenceService/Generate"


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config, item):
    """Both loops: they differ in when callbacks and cancellations run."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Router(RouterServiceServicer):
    """Runs a test's function; ``ListModels`` is left as generated code makes it."""

    def __init__(self, behaviour):
        self._behaviour = behaviour

    async def Route(self, request, context):
        return await self._behaviour(request, context)


class Inference(InferenceServiceServicer):
    """Hands on a test's async generator."""

    def __init__(self, behaviour):
        # The generator itself, so that what happens to it is what happens to a servicer's.
        self.Generate = behaviour


async def _empty(request, context):
    return router.RouteResponse()


async def _nothing(request, context):
    return
    yield


@dataclass
class Stubs:
    """A raw channel of the transport, and stubs on it."""

    channel: Any

    @property
    def router(self):
        return RouterServiceStub(self.channel)

    @property
    def inference(self):
        return InferenceServiceStub(self.channel)

    def route(self, request=None, **options):
        return self.router.Route(router.RouteRequest() if request is None else request, **options)

    def generate(self, request=None, **options):
        return self.inference.Generate(inference.GenerateRequest() if request is None else request, **options)


@asynccontextmanager
async def serving(transport, unary=_empty, stream=_nothing, interceptors=(), max_message_bytes=MAX_MESSAGE_BYTES):
    def register(registrar):
        add_RouterServiceServicer_to_server(Router(unary), registrar)
        add_InferenceServiceServicer_to_server(Inference(stream), registrar)

    if transport == IN_PROCESS:
        server = InProcessServer(interceptors, max_message_bytes)
        register(server.registrar)
        yield Stubs(InProcessChannel(server))
        return
    options = ServerOptions(reflection=False, max_message_bytes=max_message_bytes)
    async with (
        listening("127.0.0.1:0", [Service("test", register)], interceptors, options) as listener,
        open_channel(f"127.0.0.1:{listener.port}") as channel,
    ):
        yield Stubs(channel)


@pytest.fixture
def served(transport):
    """``async with served(unary=…, stream=…, interceptors=…) as stubs``."""

    def served(**behaviours):
        return serving(transport, **behaviours)

    return served


def text_response(text):
    response = inference.GenerateResponse()
    response.event.text_delta.text = text
    return response


@pytest.fixture
def responses():
    """Makes a stream's responses."""
    return text_response


@dataclass
class Servicing:
    """A servicer that starts, waits until it is ended, and notes what ended it."""

    def __post_init__(self):
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.seen = None

    async def unary(self, request, context):
        async with self:
            await asyncio.Event().wait()

    async def stream(self, request, context):
        """One response, then silence."""
        async with self:
            yield text_response("first")
            await asyncio.Event().wait()

    async def flood(self, request, context):
        """Responses without end: it is suspended where it yields."""
        async with self:
            while True:
                yield text_response("x" * 1000)

    async def __aenter__(self):
        self.started.set()

    async def __aexit__(self, kind, error, traceback):
        self.seen = kind
        self.ended.set()

    async def seconds_until_ended(self):
        """How long from now until the servicer's ``finally`` has run."""
        start = time.monotonic()
        async with asyncio.timeout(5):
            await self.ended.wait()
        return time.monotonic() - start


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
        self._entries.append((self._name, "start", call.method))
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

"""Who leaves, when and through which door: the moments of a call at which its caller may go, and the callers."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import grpc

import penstock_gateway.settings
import penstock_inference.settings
import penstock_router.app
import penstock_router.settings
from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock_common.configuration import Configuration
from penstock_common.service import Service
from penstock_common.telemetry.semconv import METRIC_UPSTREAM_WAITING
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_faults.gates import Gates
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.record import Seen
from penstock_faults.script import Answer, Break, Script, Step
from penstock_gateway.app.gateway import Channels, Listen, running
from penstock_inference.app import build as inference_of
from penstock_inference.domain.generation import Pauses
from penstock_inference.domain.health.turn import Turn

PIECE = "12345678"
"""Two tokens, where nobody has counted."""
ASKED_TOKENS = 14
"""Of the prompt: forty bytes at four a token, and four for the turn."""
KEY, OTHER_KEY = "leaving-key-leaving-key", "other-key-other-key-key"
SEEN = "seen"
NEVER = "never"
# Nothing ends for a timer while a test looks: what ends is ended by the caller's leaving.
_LONG = dict.fromkeys(("connect", "headers", "first_token", "idle", "whole", "total"), "1h")


class Caller(Protocol):
    """Somebody who has asked, and may go."""

    async def reads(self, pieces: int) -> None:
        """Return once so many pieces of the answer have come."""
        ...

    def leave(self) -> None:
        """Go."""
        ...


@dataclass
class Stand:
    """A gateway, what is below it, and where callers come in."""

    first: ScriptedUpstream
    second: ScriptedUpstream
    gates: Gates
    http: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
    channel: grpc.aio.Channel
    inference: Service
    pausing: asyncio.Event = field(default_factory=asyncio.Event)
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    contents: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])
    """By upstream: set once the gateway has read content of it."""

    def waiting(self) -> float:
        """Return how many wait for the limits of an upstream."""
        families = [family for collector in self.inference.collectors for family in collector.collect()]
        samples = [sample for family in families for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == METRIC_UPSTREAM_WAITING)


Come = Callable[[Stand, Caller, bool], Awaitable[Seen | None]]


@dataclass(frozen=True)
class Owed:
    """What a row has of a call that was left: tokens, and whom it names; nobody where nobody was sent anything."""

    input_tokens: int = 0
    output_tokens: int = 0
    by: str = ""


@dataclass(frozen=True)
class Moment:
    """A moment of a call. ``come`` returns once it is there, with the request whose connection is to be closed.

    ``streamed`` and ``whole`` are what its caller owes then. ``afar`` is the same where inference is another process, of which
    nobody hears any more: the prompt, at whom the plan has first, and what the gateway was sent.
    """

    id: str
    model: str
    come: Come
    streamed: Owed
    whole: Owed
    afar_streamed: Owed
    afar_whole: Owed
    first: Script = Script()
    second: Script = Script()

    def owed(self, *, streams: bool, is_here: bool) -> Owed:
        """Return what its caller owes."""
        if is_here:
            return self.streamed if streams else self.whole
        return self.afar_streamed if streams else self.afar_whole


async def _first_is_asked(stand: Stand, _caller: Caller, _streams: bool) -> Seen:
    return await stand.first.record.next_request()


async def _second_is_asked(stand: Stand, caller: Caller, streams: bool) -> Seen:
    await _seen_of_the_first(stand, caller, streams)
    return await stand.second.record.next_request()


async def _seen_of_the_first(stand: Stand, caller: Caller, streams: bool) -> None:
    if streams:
        await caller.reads(1)
    stand.gates.open(SEEN)


async def _first_has_said_two(stand: Stand, caller: Caller, streams: bool) -> Seen:
    seen = await stand.first.record.next_request()
    await (caller.reads(2) if streams else stand.contents["first"].wait())
    return seen


async def _second_has_said_two(stand: Stand, caller: Caller, streams: bool) -> Seen:
    await _seen_of_the_first(stand, caller, streams)
    seen = await stand.second.record.next_request()
    await (caller.reads(2) if streams else stand.contents["second"].wait())
    return seen


async def _ladder_is_asked(stand: Stand, _caller: Caller, _streams: bool) -> Seen:
    return await stand.second.record.next_request()


async def _ladder_has_said_two(stand: Stand, caller: Caller, streams: bool) -> Seen:
    seen = await stand.second.record.next_request()
    await (caller.reads(2) if streams else stand.contents["second"].wait())
    return seen


async def _it_pauses(stand: Stand, _caller: Caller, _streams: bool) -> None:
    await stand.pausing.wait()


async def _it_waits(stand: Stand, _caller: Caller, _streams: bool) -> None:
    while not stand.waiting():
        await asyncio.sleep(0.002)


SILENT = Script(steps=(Step(drop="stall"),))
HEADERS_ALONE = Script(steps=(Step(hold={0: NEVER}),))
TWO_PIECES = Script(steps=(Step(answer=Answer(tokens=(PIECE * 2, PIECE)), broken=Break(by="stall", events=2)),))
# What has been said is seen before the break is.
BREAKS = Script(steps=(Step(answer=Answer(tokens=(PIECE, PIECE)), hold={2: SEEN}, broken=Break(by="close", events=2)),))
DOWN = Script(steps=(Step(status=503),))

NOTHING = Owed()
PROMPT = Owed(ASKED_TOKENS, 0, "first")
PROMPT_BELOW = Owed(ASKED_TOKENS, 0, "second")
MOMENTS = (
    Moment("before headers", "one", _first_is_asked, PROMPT, PROMPT, PROMPT, PROMPT, SILENT),
    Moment("before the first token", "one", _first_is_asked, PROMPT, PROMPT, PROMPT, PROMPT, HEADERS_ALONE),
    Moment(
        "mid-stream", "one", _first_has_said_two,
        Owed(ASKED_TOKENS, 4, "first"), Owed(ASKED_TOKENS, 4, "first"),
        Owed(ASKED_TOKENS, 4, "first"), PROMPT, TWO_PIECES,
    ),
    Moment(
        "recovery before its first token", "two", _second_is_asked,
        Owed(2 * ASKED_TOKENS, 2, "first"), PROMPT_BELOW,
        Owed(ASKED_TOKENS, 2, "first"), PROMPT, BREAKS, HEADERS_ALONE,
    ),
    Moment(
        "recovery mid-way", "two", _second_has_said_two,
        Owed(2 * ASKED_TOKENS, 6, "first"), Owed(ASKED_TOKENS, 4, "second"),
        Owed(ASKED_TOKENS, 4, "first"), PROMPT, BREAKS, TWO_PIECES,
    ),
    Moment("retry pause", "one", _it_pauses, NOTHING, NOTHING, PROMPT, PROMPT, DOWN),
    Moment("upstream's queue", "one", _it_waits, NOTHING, NOTHING, PROMPT, PROMPT, SILENT),
    Moment(
        "ladder before its first token", "laddered", _ladder_is_asked,
        PROMPT_BELOW, PROMPT_BELOW, PROMPT_BELOW, PROMPT_BELOW, DOWN, HEADERS_ALONE,
    ),
    Moment(
        "ladder mid-way", "laddered", _ladder_has_said_two,
        Owed(ASKED_TOKENS, 4, "second"), Owed(ASKED_TOKENS, 4, "second"),
        Owed(ASKED_TOKENS, 4, "second"), PROMPT_BELOW, DOWN, TWO_PIECES,
    ),
)  # fmt: skip
"""Of every call."""


def document_of(moment: Moment, stand: Mapping[str, ScriptedUpstream], folder: Path) -> dict[str, Any]:
    """Return the configuration of a moment's stand."""
    (folder / "secret").write_bytes(b"l" * 32)
    limits = {"limits": {"concurrent_requests": 1, "wait": "1h"}} if moment.id == "upstream's queue" else {}
    upstreams = [
        {
            "name": name, "provider": "openai_compatible", "base_url": server.base_url, "api_key": "sk-x",
            "models": [{"name": "m", "context_window": 8000, "price": {"input": 1, "output": 2}}],
            "timeouts": _LONG, "whole_answers": "stream", **limits,
        }
        for name, server in stand.items()
    ]  # fmt: skip
    return {
        "upstreams": upstreams,
        "models": [
            {"name": "one", "candidates": ["first/m"]},
            {"name": "two", "candidates": ["first/m", "second/m"]},
            {"name": "small", "candidates": ["second/m"]},
            {"name": "laddered", "candidates": ["first/m"], "degradation": [{"model": "small"}]},
        ],
        "tenants": [
            {"name": "leaving", "tier": {}, "keys": [KEY]},
            {"name": "other", "tier": {}, "keys": [OTHER_KEY]},
        ],
        "cache": {"mode": "off"},
        "sql": f"sqlite:///{folder}/penstock.db",
        "secrets": dict.fromkeys(("key_pepper_file", "cache_key_file"), str(folder / "secret")),
        # Machines that run tests stall for longer than any role would.
        "gateway": {
            "unary_timeout": "1h",
            "stream_timeout": "1h",
            "router_timeout": "60s",
            "key_lookup_timeout": "60s",
        },
    }


@asynccontextmanager
async def standing(moment: Moment, transport: str, door: str, folder: Path) -> AsyncGenerator[Stand]:
    """Yield a moment's stand; ``door`` is ``direct``, or the Go program in front."""
    async with AsyncExitStack() as stack:
        gates = Gates()
        first = await stack.enter_async_context(ScriptedUpstream(moment.first, gates=gates))
        second = await stack.enter_async_context(ScriptedUpstream(moment.second, gates=gates))
        configuration = Configuration(document_of(moment, {"first": first, "second": second}, folder))
        pausing, paused = asyncio.Event(), asyncio.Event()

        async def pause(_seconds: float) -> None:
            if moment.id == "retry pause":
                pausing.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    paused.set()

        router = await stack.enter_async_context(
            penstock_router.app.build(configuration.settings(penstock_router.settings.Settings))
        )
        inference = await stack.enter_async_context(
            inference_of(configuration.settings(penstock_inference.settings.Settings), Pauses(sleep=pause))
        )
        channels = Channels(
            router=await stack.enter_async_context(channel_to(router, transport)),
            inference=await stack.enter_async_context(channel_to(inference, transport)),
            inference_is_here=transport == IN_PROCESS,
        )
        socket = folder / "http.sock"
        gateway = await stack.enter_async_context(
            running(
                configuration.settings(penstock_gateway.settings.Settings),
                channels,
                Listen(grpc="127.0.0.1:0", http=f"unix:{socket}"),
                upgrades_schema=True,
                shares_limits=False,
            )
        )
        await gateway.set_ready()
        if door == "edge":
            host, port = await stack.enter_async_context(_edge(gateway.grpc_port, socket))
            http = lambda: asyncio.open_connection(host, port)  # noqa: E731
        else:
            http = lambda: asyncio.open_unix_connection(str(socket))  # noqa: E731
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}"))
        stand = Stand(first, second, gates, http, channel, inference, pausing, paused)
        with _contents_told(stand):
            yield stand


@contextmanager
def _contents_told(stand: Stand) -> Generator[None]:
    """Tell when content has been read for a caller who does not stream, which nobody outside can see."""
    stand.contents.update({name: asyncio.Event() for name in ("first", "second")})
    noted = Turn.content_came

    def note(turn: Turn) -> None:
        noted(turn)
        stand.contents[turn.place.name.upstream].set()

    with mock.patch.object(Turn, "content_came", note):
        yield


def edge_executable() -> str | None:
    """Return the path of the edge, where it is built."""
    beside = Path(sys.executable).parent / "penstock-edge"
    return str(beside) if beside.is_file() else shutil.which("penstock-edge")


@asynccontextmanager
async def _edge(grpc_port: int, socket: Path) -> AsyncGenerator[tuple[str, int]]:
    executable = edge_executable()
    assert executable is not None, "whoever asks for the edge has looked"
    process = await asyncio.create_subprocess_exec(
        executable, "--listen=127.0.0.1:0", f"--gateway-grpc=127.0.0.1:{grpc_port}", f"--gateway-http=unix://{socket}",
        "--drain-notice=0s", stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            line = json.loads(await process.stderr.readline())
        host, _, port = line["address"].rpartition(":")
        yield host, int(port)
    finally:
        process.terminate()
        await process.communicate()


class HttpCaller:
    """Asks over HTTP, in whatever format, and reads what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._received = b""

    @classmethod
    async def ask(cls, stand: Stand, path: str, body: Mapping[str, Any], key: str = KEY) -> HttpCaller:
        """Return a caller who has asked."""
        reader, writer = await stand.http()
        text = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
        )
        writer.write(head.encode() + text)
        return cls(reader, writer)

    async def reads(self, pieces: int) -> None:
        while self._received.count(PIECE.encode()) < pieces:
            read = await self._reader.read(65_536)
            assert read, self._received
            self._received += read

    def leave(self) -> None:
        self._writer.close()


class GrpcCaller:
    """Asks over gRPC."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._text = ""

    async def reads(self, pieces: int) -> None:
        while len(self._text) < pieces * len(PIECE):
            self._text += (await self._call.read()).event.text_delta.text

    def leave(self) -> None:
        self._call.cancel()


async def openai(stand: Stand, model: str, *, streams: bool) -> Caller:
    """Return a caller of OpenAI's wire format."""
    body = {"model": model, "messages": [{"role": "user", "content": "x" * 40}], "stream": streams}
    return await HttpCaller.ask(stand, "/v1/chat/completions", body)


async def rest(stand: Stand, model: str, *, streams: bool) -> Caller:
    """Return a caller of the typed API as REST."""
    message = {"role": "ROLE_USER", "parts": [{"text": "x" * 40}]}
    path = "/api/v1/chat:stream" if streams else "/api/v1/chat"
    return await HttpCaller.ask(stand, path, {"input": {"model": model, "messages": [message]}})


async def typed(stand: Stand, model: str, *, streams: bool) -> Caller:
    """Return a caller of the typed API over gRPC."""
    given = {"model": model, "messages": [{"role": "ROLE_USER", "parts": [{"text": "x" * 40}]}]}
    stub, metadata = ChatServiceStub(stand.channel), (("authorization", f"Bearer {KEY}"),)
    if streams:
        return GrpcCaller(stub.StreamChat(pb.StreamChatRequest(input=given), metadata=metadata))
    return GrpcCaller(stub.Chat(pb.ChatRequest(input=given), metadata=metadata))


async def occupant(stand: Stand) -> Caller:
    """Return a caller of another tenant who has the only place at the first upstream."""
    body = {"model": "one", "messages": [{"role": "user", "content": "x"}]}
    caller = await HttpCaller.ask(stand, "/v1/chat/completions", body, OTHER_KEY)
    await stand.first.record.next_request()
    return caller

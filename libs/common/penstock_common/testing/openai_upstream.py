"""A real HTTP server that speaks OpenAI's chat completions, well or badly, as a test asks.

    async with OpenAIUpstream() as upstream:
        upstream.enqueue(Failure(503), Answer(tokens=["Hel", "lo"]))
        ...  # ask upstream.base_url
        assert len(upstream.requests) == 2

Each request takes the next behaviour of the queue; an empty queue gives a
normal short answer. Everything is written by hand on a socket, because most
behaviours are ones that a proper server refuses.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

_EVENT_STREAM = "text/event-stream; charset=utf-8"


class End(Enum):
    """How a response ends once its frames are written."""

    CLEAN = "clean"
    """As HTTP says."""
    FIN = "fin"
    """The connection is closed, the body's end never said."""
    RESET = "reset"
    """The connection is reset."""
    STALL = "stall"
    """Nothing more comes; the connection stays open until the client leaves."""
    REPEAT = "repeat"
    """The last frame again and again, until the client leaves."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A response, frame by frame; each frame is one write.

    ``hold`` maps a frame's number to an event that must be set before it is
    written; the number after the last holds the end. ``cut_at_byte`` ends the body within a frame, in the way ``end`` says.
    ``delimited`` False leaves the length unsaid, so that closing the connection ends the body.
    """

    frames: Sequence[bytes] = ()
    status: int = 200
    content_type: str = _EVENT_STREAM
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hold: Mapping[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])
    end: End = End.CLEAN
    cut_at_byte: int | None = None
    delimited: bool = True


@dataclass(frozen=True)
class ToolCall:
    """A tool call and the pieces its arguments come in."""

    name: str
    fragments: Sequence[str] = ("{}",)
    id: str = "call_1"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, one event per token where it is streamed.

    ``usage`` None leaves it out, ``COUNTED`` counts tokens. ``stop_after`` ends
    the body after that many events, in the way ``end`` says.
    ``insert`` maps an event's number to bytes written before it.
    """

    tokens: Sequence[str] = ("Hello", ", ", "world", ".")
    reasoning: Sequence[str] = ()
    reasoning_field: str = "reasoning_content"
    tool_calls: Sequence[ToolCall] = ()
    numbered_tool_calls: bool = True
    finish_reason: str | None = "stop"
    usage: Mapping[str, Any] | None = field(default_factory=lambda: COUNTED)
    done: bool = True
    insert: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    hold: Mapping[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])
    stop_after: int | None = None
    cut_at_byte: int | None = None
    end: End = End.CLEAN
    delimited: bool = True
    input_tokens: int = 7

    def body(self, model: str) -> Body:
        """Return the answer as it goes over the wire; event 0 carries the role alone."""
        events = self._events(model)
        frames = [self.insert.get(number, b"") + event for number, event in enumerate(events)]
        if len(events) in self.insert:
            frames.append(self.insert[len(events)])
        return Body(
            frames=frames[: self.stop_after],
            hold=self.hold,
            cut_at_byte=self.cut_at_byte,
            end=self.end,
            delimited=self.delimited,
        )

    def _events(self, model: str) -> list[bytes]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{self.reasoning_field: text} for text in self.reasoning]
        deltas += [{"content": text} for text in self.tokens]
        for index, call in enumerate(self.tool_calls):
            deltas += [{"tool_calls": [piece]} for piece in self._tool_call_pieces(index, call)]
        events = [_chunk(model, {"index": 0, "delta": delta, "finish_reason": None}) for delta in deltas]
        if self.finish_reason is not None:
            events.append(_chunk(model, {"index": 0, "delta": {}, "finish_reason": self.finish_reason}))
        if self.usage is not None:
            events.append(_sse({"object": "chat.completion.chunk", "choices": [], "usage": self._usage()}))
        if self.done:
            events.append(b"data: [DONE]\n\n")
        return events

    def _tool_call_pieces(self, index: int, call: ToolCall) -> list[dict[str, Any]]:
        number = {"index": index} if self.numbered_tool_calls else {}
        first = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        rest = [{"function": {"arguments": fragment}} for fragment in call.fragments]
        return [{**number, **piece} for piece in [first, *rest]]

    def _usage(self) -> Mapping[str, Any]:
        if self.usage is not COUNTED and self.usage is not None:
            return self.usage
        output_tokens = len(self.tokens) + len(self.reasoning) + sum(len(call.fragments) for call in self.tool_calls)
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": self.input_tokens + output_tokens,
            "completion_tokens_details": {"reasoning_tokens": len(self.reasoning)},
        }

    def completion(self, model: str) -> Body:
        """Return the answer to a request that does not stream: ``hold`` holds all of it, ``stop_after`` leaves half."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.tokens) or None}
        if self.reasoning:
            message[self.reasoning_field] = "".join(self.reasoning)
        if self.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": "".join(call.fragments)},
                }
                for call in self.tool_calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        document: dict[str, Any] = {"object": "chat.completion", "model": model, "choices": [choice]}
        if self.usage is not None:
            document["usage"] = self._usage()
        frame = json.dumps(document).encode()
        return Body(
            frames=[frame if self.stop_after is None else frame[: len(frame) // 2]],
            content_type="application/json",
            hold={0: event} if (event := next(iter(self.hold.values()), None)) is not None else {},
            cut_at_byte=self.cut_at_byte,
            end=self.end,
            delimited=self.delimited,
        )


COUNTED: Mapping[str, Any] = {"counted": True}
"""Usage that the answer counts itself."""


@dataclass(frozen=True)
class Failure:
    """An error response; ``error`` is the object under "error", or a text sent as HTML."""

    status: int
    error: Mapping[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self) -> Body:
        """Return the response."""
        if isinstance(self.error, str):
            frames, content_type = [self.error.encode()], "text/html"
        else:
            error = self.error or {"message": f"status {self.status}", "type": "server_error"}
            frames, content_type = [json.dumps({"error": error}).encode()], "application/json"
        return Body(frames=frames, status=self.status, content_type=content_type, headers=self.headers)


@dataclass(frozen=True)
class NoResponse:
    """The request is read and no byte comes back; then ``end``, by default a long silence."""

    end: End = End.STALL


Behaviour = Answer | Failure | Body | NoResponse


def stalled_after_headers() -> Body:
    """Return a response whose headers come at once, and nothing after them."""
    return Body(end=End.STALL)


@dataclass
class RecordedRequest:
    """What a client sent, and when it left; ``left`` is set if that was before the response's end."""

    path: str
    headers: Mapping[str, str]
    raw_body: bytes
    arrived_at: float
    left: asyncio.Event = field(default_factory=asyncio.Event)
    left_at: float = 0.0

    @property
    def body(self) -> dict[str, Any]:
        """The request's JSON."""
        return json.loads(self.raw_body)


class OpenAIUpstream:
    """Serves while it is entered; ``requests`` are in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        self.connections = 0
        self._behaviours: deque[Behaviour] = deque()
        self._arrivals: asyncio.Queue[RecordedRequest] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.base_url = ""

    async def __aenter__(self) -> Self:
        # The default backlog of 100 loses connections of a burst, which then wait for seconds to be tried again.
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=8192)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None, "entered"
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def settings(self, name: str, *, context_window: int = 4096, **more: Any) -> dict[str, Any]:
        """Return the entry of ``upstreams:`` that names this server ``name``, with one model ``m``."""
        price = {"input": "0.15", "output": "0.60"}
        return {
            "name": name,
            "provider": "openai_compatible",
            "base_url": self.base_url,
            "api_key": "sk-ours",
            "models": [{"name": "m", "context_window": context_window, "price": price}],
            **more,
        }

    def enqueue(self, *behaviours: Behaviour) -> None:
        """Let the next requests meet these, in order."""
        self._behaviours.extend(behaviours)

    def drop_queue(self) -> None:
        """Forget the behaviours that no request has met."""
        self._behaviours.clear()

    async def next_request(self) -> RecordedRequest:
        """Return the next request that nobody has taken yet, waiting for it."""
        return await self._arrivals.get()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "start_server runs this in a task"
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = b""
        while True:
            request = await _read_request(reader, begun)
            if request is None:
                return
            self.requests.append(request)
            self._arrivals.put_nowait(request)
            behaviour = self._behaviours.popleft() if self._behaviours else Answer()
            begun = await self._respond(request, behaviour, reader, writer)
            if writer.is_closing():
                return

    async def _respond(
        self,
        request: RecordedRequest,
        behaviour: Behaviour,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bytes:
        """Write the response unless the client leaves first; return what it sent meanwhile."""
        sending = asyncio.ensure_future(_send(_wire_form(behaviour, request), writer))
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and sending.exception() is None:
                return leaving.result() if leaving.done() and leaving.exception() is None else b""
            request.left_at = time.monotonic()
            request.left.set()
            writer.transport.abort()
            return b""
        finally:
            for part in (sending, leaving):
                part.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader, begun: bytes) -> RecordedRequest | None:
    try:
        head = begun + await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    arrived_at = time.monotonic()
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RecordedRequest(first.split(" ")[1], headers, body, arrived_at)


def _wire_form(behaviour: Behaviour, request: RecordedRequest) -> Body | NoResponse:
    if isinstance(behaviour, Failure):
        return behaviour.body()
    if isinstance(behaviour, Answer):
        asked: dict[str, Any] = request.body if request.raw_body else {}
        model = str(asked.get("model", ""))
        return behaviour.body(model) if asked.get("stream") else behaviour.completion(model)
    return behaviour


async def _send(response: Body | NoResponse, writer: asyncio.StreamWriter) -> None:
    if isinstance(response, Body):
        writer.write(_head(response))
        await _send_frames(response, writer)
    await _end(response, writer)


async def _send_frames(response: Body, writer: asyncio.StreamWriter) -> None:
    left = response.cut_at_byte
    for number, whole in enumerate(response.frames):
        await _held(number, response, writer)
        frame = whole if left is None else whole[:left]
        if frame:
            _write_frame(frame, response, writer)
            await writer.drain()
        if left is not None:
            left -= len(frame)
            if left == 0:
                return
    await _held(len(response.frames), response, writer)


async def _held(number: int, response: Body, writer: asyncio.StreamWriter) -> None:
    if number in response.hold:
        await writer.drain()
        await response.hold[number].wait()


def _write_frame(frame: bytes, response: Body, writer: asyncio.StreamWriter) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(frame), frame) if response.delimited else frame)


async def _end(response: Body | NoResponse, writer: asyncio.StreamWriter) -> None:
    end = response.end
    if end is End.CLEAN and isinstance(response, Body):
        if response.delimited:
            writer.write(b"0\r\n\r\n")
        else:
            writer.close()
    elif end is End.RESET:
        _reset(writer)
    elif end is End.FIN:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    elif end is End.REPEAT and isinstance(response, Body):
        while True:
            _write_frame(response.frames[-1], response, writer)
            await writer.drain()
    else:
        await asyncio.Event().wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer sees a reset rather than an end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _head(response: Body) -> bytes:
    headers = {"content-type": response.content_type, **response.headers}
    if response.delimited:
        headers["transfer-encoding"] = "chunked"
    else:
        headers["connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} Programmed\r\n{lines}\r\n".encode("latin-1")


def _chunk(model: str, choice: Mapping[str, Any]) -> bytes:
    return _sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": model,
            "choices": [choice],
            "usage": None,
        }
    )


def _sse(document: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"

"""A real HTTP server that speaks OpenAI's chat completions, well or badly, as a test asks.

    async with OpenAIUpstream() as upstream:
        upstream.enqueue(Failure(503), Answer(tokens=["Hel", "lo"]))
        ...  # ask upstream.base_url
        assert len(upstream.requests) == 2

Each request takes the next behaviour of the queue; where that is empty, what
``otherwise`` says, by default a normal short answer. Everything is written by hand on a socket, because most
behaviours are ones that a proper server refuses.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from penstock_common.testing.openai_answers import (
    Answer,
    Behaviour,
    Body,
    End,
    Failure,
    NoResponse,
    ToolCall,
    stalled_after_headers,
)

__all__ = [
    "Answer",
    "Behaviour",
    "Body",
    "End",
    "Failure",
    "NoResponse",
    "OpenAIUpstream",
    "RecordedRequest",
    "ToolCall",
    "stalled_after_headers",
]


@dataclass
class RecordedRequest:
    """What a client sent, and when it left; ``left`` is set if that was before the response's end."""

    path: str
    headers: Mapping[str, str]
    raw_body: bytes
    arrived_at: float
    method: str = "POST"
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
        self.otherwise: Callable[[RecordedRequest], Behaviour] = lambda _: Answer()
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
            behaviour = self._behaviours.popleft() if self._behaviours else self.otherwise(request)
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
    method, path, *_ = first.split(" ")
    return RecordedRequest(path, headers, body, arrived_at, method)


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

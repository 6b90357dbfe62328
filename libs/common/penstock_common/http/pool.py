"""The connections to one origin: opened when needed, kept for a while, used again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohappyeyeballs

from penstock_common.http.address import Origin
from penstock_common.http.body import ArrivingBody, Body
from penstock_common.http.connection import Connection, Sent
from penstock_common.http.failures import ConnectFailed, ConnectionCut, ConnectTimedOut, TlsFailed
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response

MAX_CONNECTIONS = 20_000
"""About what one process has descriptors for; admission happens before us."""
KEEP_ALIVE_SECONDS = 15.0
"""How long an unused connection is kept: less than the shortest that common servers and load balancers grant."""
HAPPY_EYEBALLS_DELAY_SECONDS = 0.25
"""RFC 8305, "Connection Attempt Delay"."""
ADDRESSES_SECONDS = 10.0
"""How long the addresses of a name are believed."""
REPEAT_SECONDS = 1.0
"""How soon a reused connection must be cut for its request to be sent again.

A server that closed it before the request came says so within a round trip; a
second leaves room for a packet that is lost. A cut that comes later may be a
balancer's, of a flow that is silent while a whole answer is generated: sent
again, that request would be generated, and paid for, twice.
"""

AddressInfo = tuple[int, int, int, str, Any]
LookUp = Callable[[str, int], Awaitable[list[AddressInfo]]]


class HttpPool:
    """Asks one origin. The only timer of a request is that of a new connection."""

    def __init__(
        self,
        origin: Origin,
        tls: ssl.SSLContext | None,
        most_connections: int = MAX_CONNECTIONS,
        look_up: LookUp | None = None,
    ) -> None:
        """Take the origin; ``tls`` is for those that have it, ``look_up`` finds a name's addresses."""
        self.origin = origin
        """Where its connections lead."""
        self._tls = tls if origin.tls else None
        self._look_up = look_up or addresses_of
        self._most_connections = most_connections
        self._connections: set[Connection] = set()
        self._opening = 0
        # The longest unused first; the last is used next, so that the others can age.
        self._free: dict[Connection, None] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._addresses: list[AddressInfo] = []
        self._addresses_until = 0.0
        self._renewal: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[None] | None = None

    async def request(
        self,
        head: RequestHead,
        body: bytes | Body,
        connect_seconds: float,
        more_headers: bytes = b"",
        sent: Sent | None = None,
    ) -> Response:
        """Return the response once its head has come; ``more_headers`` is lines of ``header_line``.

        ``sent`` is called once all of the request is on its way, and again where it is sent once more.

        A server may close a connection just when it is used again: where it is
        cut within ``REPEAT_SECONDS`` and before a byte of the answer came, the
        request is sent once more, on a new connection. Others that were kept as long
        may have died with it: they are closed, so that nobody meets them.
        Cancelling closes the connection at once.

        Raises:
            HttpFailure: if no head comes.
        """
        beginning = head.before(body, more_headers)
        connection = self._take()
        if connection is not None:
            loop = asyncio.get_running_loop()
            sent_at = loop.time()
            try:
                return await connection.begin(beginning, body, sent).begun()
            except ConnectionCut as cut:
                if not cut.began:
                    self._close_kept_before(sent_at)
                if cut.began or loop.time() - sent_at >= REPEAT_SECONDS:
                    raise
        connection = await self._connect(connect_seconds)
        return await connection.begin(beginning, body, sent).begun()

    async def request_once(self, head: RequestHead, body: ArrivingBody | None, connect_seconds: float) -> Response:
        """Return the response to a request that is never sent twice: it has a connection of its own, and perhaps no body.

        Where none comes the body is stopped. Cancelling closes the connection at once.

        Raises:
            HttpFailure: if no head comes.
        """
        try:
            connection = await self._connect(connect_seconds)
            return await connection.begin(head.before_arriving(body), b"" if body is None else body).begun()
        except BaseException:
            if body is not None:
                body.stop()
            raise

    async def aclose(self) -> None:
        """Close every connection, whatever is on it, end a look-up, and return when all of that is done."""
        self._closed = asyncio.get_running_loop().create_future()
        for connection in tuple(self._connections):
            connection.abort()
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait((self._renewal,))
        if self._connections:
            await self._closed

    def keep(self, connection: Connection) -> None:
        """Have a connection for the next request; see ``Keeper``."""
        if self._closed is not None:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.kept_at = loop.time()
        self._free[connection] = None
        if self._sweep is None:
            self._sweep = loop.call_at(connection.kept_at + KEEP_ALIVE_SECONDS, self._close_unused)

    def lost(self, connection: Connection) -> None:
        """Forget a connection; see ``Keeper``."""
        self._connections.discard(connection)
        self._free.pop(connection, None)
        if not self._free and self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if not self._connections and self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _take(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - KEEP_ALIVE_SECONDS
        while self._free:
            connection, _ = self._free.popitem()
            if connection.kept_at > oldest and connection.is_usable:
                return connection
            connection.abort()
        return None

    def _close_kept_before(self, when: float) -> None:
        for connection in [kept for kept in self._free if kept.kept_at <= when]:
            del self._free[connection]
            connection.abort()

    def _close_unused(self) -> None:
        self._sweep = None
        loop = asyncio.get_running_loop()
        for connection in tuple(self._free):
            due = connection.kept_at + KEEP_ALIVE_SECONDS
            if due > loop.time():
                self._sweep = loop.call_at(due, self._close_unused)
                return
            del self._free[connection]
            connection.abort()

    async def _connect(self, seconds: float) -> Connection:
        if len(self._connections) + self._opening >= self._most_connections or self._closed is not None:
            raise ConnectFailed("the pool is full or closed")
        self._opening += 1
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._open()
        except TimeoutError as error:
            # The system's own is one of these, too.
            failure = ConnectTimedOut if limit.expired() else ConnectFailed
            raise failure(str(error) or "no connection in time") from error
        except ssl.SSLError as error:
            raise TlsFailed(str(error)) from error
        except (OSError, UnicodeError) as error:
            self._addresses_until = 0.0
            raise ConnectFailed(str(error)) from error
        finally:
            self._opening -= 1

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        sock = await aiohappyeyeballs.start_connection(
            await self._resolved(loop), happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_SECONDS, interleave=1, loop=loop
        )
        name = None if self._tls is None else self.origin.certificate_host
        _, connection = await loop.create_connection(
            lambda: Connection(self, loop), sock=sock, ssl=self._tls, server_hostname=name
        )
        # Counted only now: of one whose opening was cancelled, uvloop never says that it is lost.
        if self._closed is not None:
            connection.abort()
        elif connection.is_usable:
            self._connections.add(connection)
        return connection

    async def _resolved(self, loop: asyncio.AbstractEventLoop) -> list[AddressInfo]:
        """Return the origin's addresses, another first each time; those who ask at once share one look-up."""
        if loop.time() >= self._addresses_until:
            if self._renewal is None:
                self._renewal = loop.create_task(self._renew_addresses(loop))
                self._renewal.add_done_callback(self._renewed)
            renewal = self._renewal
            # Unlike awaiting it, this leaves it to the others when one of them is cancelled.
            await asyncio.wait((renewal,))
            if renewal.cancelled():
                raise ConnectFailed("the pool is closed")
            renewal.result()
        addresses = self._addresses
        self._addresses = [*addresses[1:], *addresses[:1]]
        return addresses

    async def _renew_addresses(self, loop: asyncio.AbstractEventLoop) -> None:
        self._addresses = await self._look_up(self.origin.host, self.origin.port)
        self._addresses_until = loop.time() + ADDRESSES_SECONDS

    def _renewed(self, renewal: asyncio.Task[None]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            # Seen, even where everybody who waited for it is gone.
            renewal.exception()


async def addresses_of(host: str, port: int) -> list[AddressInfo]:
    """Return where a name leads, as the system says, asked off the loop; an address leads to itself."""
    for family, place in ((socket.AF_INET, (host, port)), (socket.AF_INET6, (host, port, 0, 0))):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]
    loop = asyncio.get_running_loop()
    return [*await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)]

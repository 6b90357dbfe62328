"""Listens, and looks after the connections: one tick for all of their times, and an end that lets answers finish."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from datetime import timedelta

from penstock_common.certificates import Certificates, PemFiles, Renewal, server_context
from penstock_common.peers import Guestlist
from penstock_gateway.surfaces.http1.connection import Connection, Handler
from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.http1.lines import date_line
from penstock_gateway.surfaces.http1.listening import BACKLOG, bound, unbind

_LAST_ANSWERS = timedelta(seconds=5)
_LAST_BYTES = timedelta(seconds=1)
_TLS_HANDSHAKE_SECONDS = 15


class HttpServer:
    """What the connections of one listener share."""

    def __init__(
        self, handler: Handler, limits: HttpLimits, loop: asyncio.AbstractEventLoop, guests: Guestlist | None = None
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.guests = guests
        self.now = loop.time()
        self.is_ending = False
        self.context = copy_context()
        self.tasks: set[asyncio.Task[None]] = set()
        self.standing_lines = date_line()
        self._loop = loop
        self._notice = b""
        self._connections: set[Connection] = set()
        self._emptied = asyncio.Event()
        self._timer = loop.call_later(limits.tick_seconds, self._tick)

    def connect(self) -> Connection:
        """Return what serves the next client."""
        return Connection(self, self._loop)

    def joined(self, connection: Connection) -> None:
        """See a client come."""
        self._connections.add(connection)

    def left(self, connection: Connection) -> None:
        """See one go."""
        self._connections.discard(connection)
        if self.is_ending and not self._connections:
            self._emptied.set()

    def announce(self, line: bytes) -> None:
        """Put a header line under every answer from now on."""
        self._notice = line
        self.standing_lines = date_line() + line

    async def end(self, grace: timedelta = _LAST_ANSWERS) -> None:
        """Close idle connections now and the others after their answers; cut off what is left after ``grace``."""
        self.is_ending = True
        for connection in list(self._connections):
            connection.drain()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=grace.total_seconds())
        for task in self.tasks:
            task.cancel()
            task.add_done_callback(self.tasks.discard)
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=grace.total_seconds())
        if self._connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), _LAST_BYTES.total_seconds())
        for connection in list(self._connections):
            connection.abort()
        self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self.limits.tick_seconds, self._tick)
        self.now = now = self._loop.time()
        self.standing_lines = date_line() + self._notice
        for connection in [connection for connection in self._connections if connection.expires_at <= now]:
            connection.expire()


@asynccontextmanager
async def serving_http(
    handler: Handler,
    address: str,
    tls: PemFiles | None = None,
    limits: HttpLimits | None = None,
    guests: Guestlist | None = None,
) -> AsyncGenerator[HttpServer, None]:
    """Serve at ``unix:/path`` or ``host:port`` while the context is open; with ``tls``, to proven clients only.

    Of those ``guests`` lets some in; without, all may come.

    Raises:
        ListenError: if the address is taken or not ours.
    """
    loop = asyncio.get_running_loop()
    listener, context = bound(address), _tls_context(tls)
    server = HttpServer(handler, limits or HttpLimits(), loop, None if tls is None else guests)
    listen = loop.create_unix_server if listener.family is socket.AF_UNIX else loop.create_server
    patience = _TLS_HANDSHAKE_SECONDS if tls else None
    sockets = await listen(server.connect, sock=listener, backlog=BACKLOG, ssl=context, ssl_handshake_timeout=patience)
    try:
        yield server
    finally:
        sockets.close()
        await server.end()
        unbind(address)


def _tls_context(files: PemFiles | None) -> ssl.SSLContext | None:
    """Return the context of the listener, which gives each handshake the one of today."""
    if files is None:
        return None
    renewal = Renewal(Certificates.read(files))
    first = today = server_context(files)
    is_old = False

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, *_: object) -> None:
        nonlocal today, is_old
        is_old = renewal.look() is not None or is_old
        if is_old:
            # Where they have changed again in this moment, the next handshake looks again.
            with suppress(OSError, ssl.SSLError):
                today, is_old = server_context(files), False
        connection.context = today

    first.set_servername_callback(choose)
    return first

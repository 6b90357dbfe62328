"""A server on a real socket that answers byte by byte as a test says, for a client that must bear anything."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager


class Visit:
    """One connection: what it received, and a way to answer."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.gone = asyncio.Event()

    async def request(self):
        """Return the head and the body of the next request; None where the client has left."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
            return head, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def say(self, data: bytes):
        self.writer.write(data)
        await self.writer.drain()

    async def until_gone(self):
        """Return when the client has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


async def answering(visit):
    """Answer every request well."""
    while await visit.request():
        await visit.say(OK)


@asynccontextmanager
async def origin(*behaviours, tls=None, host="127.0.0.1", port=0):
    """Serve: the first connections as these say, one each, all further ones well. Yield the server.

    ``visits`` is the connections so far, ``port`` where it listens.
    """
    waiting = list(behaviours)
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader, writer):
        task = asyncio.current_task()
        tasks.add(task)
        visit = Visit(reader, writer)
        server.visits.append(visit)
        behaviour = waiting.pop(0) if waiting else answering
        try:
            await behaviour(visit)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            visit.gone.set()
            writer.transport.abort()
            tasks.discard(task)

    class Server:
        visits: list[Visit] = []

    server = Server()
    server.visits = []
    listener = await asyncio.start_server(accept, host, port, ssl=tls, backlog=1024)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()

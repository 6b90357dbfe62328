"""A listener that leaves nothing open, and the ends of connections that a proper server avoids."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# The default of 100 loses connections of a burst, which then wait for seconds to be tried again.
_BACKLOG = 8192
# What was accepted has its task some turns of the loop later.
_TURNS = 5


class Listener:
    """Accepts connections and serves each in a task; ``close`` ends them all and waits for that."""

    def __init__(self, serve: Serve, host: str, port: int) -> None:
        self._serve = serve
        self._where = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """Return the port that is listened at."""
        self._server = await asyncio.start_server(self._accept, *self._where, backlog=_BACKLOG)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End every connection."""
        if self._server is None:
            return
        self._server.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("start_server runs this in a task")
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        except asyncio.CancelledError:
            # Only ``close`` cancels it, which waits for the task and has no use for the word.
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer sees a reset rather than an end."""
    own: Any = writer.get_extra_info("socket")
    if own is not None and own.fileno() >= 0:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

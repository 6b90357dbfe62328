"""One pipelined connection to Redis, shared by every request of a process.

redis-py gives each command in flight a connection of its own, at 40 to 80 microseconds
of CPU a call. Here commands in flight travel together, in order, over one
connection: what is sent first is executed first. Addresses, authentication,
TLS and the protocol stay redis-py's.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import suppress
from datetime import timedelta
from hashlib import sha1
from types import TracebackType
from typing import Any, Self

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import NoScriptError, RedisError, ResponseError

DEFAULT_TIMEOUT = timedelta(milliseconds=50)

# After a failure, commands fail at once for this long instead of each waiting for its timeout.
_COOL_DOWN_SECONDS = 1.0
_CONNECT_TIMEOUT_SECONDS = 1.0


class RedisUnavailable(Exception):
    """Redis did not answer in time, or cannot be reached."""


class Script:
    """A Lua script: sent by its digest, in full where Redis does not know it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = sha1(source.encode(), usedforsecurity=False).hexdigest()


class RedisConnection:
    """Sends commands in order and reconnects by itself; use it as an async context manager.

    Every command is bounded by ``timeout``. After a failure all commands fail
    at once for a second; the next one after that connects again.
    """

    def __init__(self, url: str, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        self._pool: ConnectionPool = ConnectionPool.from_url(url, socket_timeout=None)
        self._timeout_seconds = timeout.total_seconds()
        self._connection: AbstractConnection | None = None
        self._replies: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._flush_scheduled = False
        self._cool_until = 0.0
        self._wanted = asyncio.Event()
        self._sick = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="redis")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def execute(self, *command: Any) -> Any:
        """Return Redis' reply to one command; texts come as bytes.

        Raises:
            RedisUnavailable: no connection, or no reply within the timeout.
            redis.exceptions.ResponseError: Redis refused the command.
        """
        loop = asyncio.get_running_loop()
        if self._connection is None:
            if loop.time() < self._cool_until:
                raise RedisUnavailable("Redis is not reachable")
            self._wanted.set()
        reply = self._enqueue(loop, command)
        timer = loop.call_later(self._timeout_seconds, self._expire, reply)
        try:
            return await reply
        finally:
            timer.cancel()

    def send(self, *command: Any) -> bool:
        """Send one command and drop its reply; return False where there is no connection and the command is lost."""
        if self._connection is None:
            return False
        self._enqueue(asyncio.get_running_loop(), command).add_done_callback(_drop_outcome)
        return True

    async def run(self, script: Script, keys: tuple[str, ...], *arguments: Any) -> Any:
        """Return the reply of a script."""
        try:
            return await self.execute("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.execute("EVAL", script.source, len(keys), *keys, *arguments)

    def _enqueue(self, loop: asyncio.AbstractEventLoop, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        # redis-py packs several commands in Python; in C it takes a seventh of the time. What cannot be
        # packed must fail here: a reply that is waited for, and a command that is never sent, shift all others.
        packed: bytes = pack_command(command)
        reply: asyncio.Future[Any] = loop.create_future()
        self._replies.append(reply)
        self._unsent.append(packed)
        if self._connection is not None and not self._flush_scheduled:
            self._flush_scheduled = True
            loop.call_soon(self._flush)
        return reply

    def _flush(self) -> None:
        """Write everything that this turn of the loop has gathered."""
        self._flush_scheduled = False
        connection, commands = self._connection, self._unsent
        if connection is None or not commands:
            return
        self._unsent = []
        # Not send_packed_command(): it waits where the socket's buffer is full, which here only the timeouts may
        # do, and closes the connection where it is not waited for.
        writer: asyncio.StreamWriter | None = connection._writer  # type: ignore[attr-defined]  # noqa: SLF001
        if writer is None:
            self._sick.set()
        else:
            writer.write(b"".join(commands))

    def _expire(self, reply: asyncio.Future[Any]) -> None:
        if not reply.done():
            reply.set_exception(RedisUnavailable("Redis did not answer in time"))
            self._sick.set()
            if self._connection is None:
                # It is being connected to, and hangs: the next commands need not wait to find that out.
                self._cool_until = asyncio.get_running_loop().time() + _COOL_DOWN_SECONDS

    async def _run(self) -> None:
        """Own the connection: open it when somebody wants it, read until it fails."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                self._sick.clear()
                try:
                    await self._serve(loop)
                except (RedisError, OSError, TimeoutError, RedisUnavailable) as error:
                    self._cool_until = loop.time() + _COOL_DOWN_SECONDS
                    self._fail(RedisUnavailable(str(error)))
        finally:
            self._fail(RedisUnavailable("closed"))

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        connection: AbstractConnection = self._pool.make_connection()
        reading: asyncio.Task[None] | None = None
        sick = loop.create_task(self._sick.wait())
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                await connection.connect()
            self._connection = connection
            self._flush()
            reading = loop.create_task(self._read(connection))
            await asyncio.wait((reading, sick), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            raise RedisUnavailable("Redis did not answer in time")
        finally:
            self._connection = None
            sick.cancel()
            try:
                if reading is not None:
                    reading.cancel()
                    # Awaiting it itself would take a cancellation of our own, at closing, for the reader's.
                    await asyncio.wait((reading,))
                    _drop_outcome(reading)
            finally:
                await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection) -> None:
        """Hand every reply to whom it belongs, until the connection ends."""
        while True:
            try:
                reply = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
            except ResponseError as refusal:
                self._deliver(None, refusal)
            else:
                self._deliver(reply, None)

    def _deliver(self, reply: Any, refusal: ResponseError | None) -> None:
        future = self._replies.popleft()
        if future.done():
            return
        if refusal is not None:
            future.set_exception(refusal)
        else:
            future.set_result(reply)

    def _fail(self, error: RedisUnavailable) -> None:
        self._unsent.clear()
        while self._replies:
            future = self._replies.popleft()
            if not future.done():
                future.set_exception(error)


def _drop_outcome(reply: asyncio.Future[Any]) -> None:
    if not reply.cancelled():
        reply.exception()

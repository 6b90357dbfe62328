"""One pipelined connection to Redis, shared by every request of a process.

redis-py gives each command in flight a connection of its own, at 40 to 80 microseconds
of CPU a call. Here commands in flight travel together, in order, over one
connection: what is sent first is executed first. Addresses, authentication,
TLS and the choice of the protocol stay redis-py's: it connects, and a
``RedisPipeline`` takes the open connection over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha1
from time import monotonic
from types import TracebackType
from typing import Any, Self

import redis
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.driver_info import DriverInfo
from redis.exceptions import NoScriptError, RedisError

from penstock_common.redis_pipeline import MAX_UNANSWERED, Due, Patience, RedisPipeline, RedisUnavailable

__all__ = ["DEFAULT_TIMEOUT", "MAX_UNANSWERED", "RedisConnection", "RedisUnavailable", "Script"]

DEFAULT_TIMEOUT = timedelta(milliseconds=50)

# Without it redis-py reads its package's metadata for each connection, which holds up the loop for two milliseconds.
_DRIVER = DriverInfo(lib_version=redis.__version__)

# After a failure, commands fail at once for this long instead of each waiting for its timeout.
_COOL_DOWN_SECONDS = 1.0
# Nobody waits for as long; commands that come meanwhile fail after their own time.
_CONNECT_TIMEOUT_SECONDS = 5.0


class Script:
    """A Lua script: sent by its digest, in full where Redis does not know it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = sha1(source.encode(), usedforsecurity=False).hexdigest()


class RedisConnection:
    """Sends commands in order and reconnects by itself; use it as an async context manager.

    Every command is bounded by ``timeout``, of which a stall of the loop uses up a fifth at most, and ``MAX_UNANSWERED``
    by number.
    After a failure all commands fail at once for a second; the next one after
    that connects again.
    """

    def __init__(self, url: str, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        self._pool: ConnectionPool = ConnectionPool.from_url(url, socket_timeout=None, driver_info=_DRIVER)
        self._timeout_seconds = timeout.total_seconds()
        self._pipeline: RedisPipeline | None = None
        self._known: set[str] = set()
        # What came while there is no connection yet.
        self._early: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._early_patience: Patience | None = None
        self._cool_until = 0.0
        self._wanted = asyncio.Event()
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="redis")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def unsent_bytes(self) -> int:
        """How much waits until Redis takes it: what nobody waits for is better left out than added to much."""
        return 0 if self._pipeline is None else self._pipeline.unsent_bytes

    async def execute(self, *command: Any) -> Any:
        """Return Redis' reply to one command; texts come as bytes.

        Raises:
            RedisUnavailable: no connection, no reply within the timeout, or too many commands under way.
            redis.exceptions.ResponseError: Redis refused the command.
        """
        # In C; redis-py's own takes seven times as long. What cannot be packed must fail before a reply is due for it:
        # one that never comes would shift all others.
        return await self._ask(pack_command(command))

    def send(self, *command: Any) -> bool:
        """Send one command and drop its reply; return False where there is no connection and the command is lost."""
        return self._put(pack_command(command), None)

    async def run(self, script: Script, keys: tuple[str | bytes, ...], *arguments: Any) -> Any:
        """Return the reply of a script; raises what ``execute`` raises."""
        try:
            return await self._ask(_packed("EVALSHA", script.digest, keys, arguments))
        except NoScriptError:
            return await self._ask(_packed("EVAL", script.source, keys, arguments))

    def send_script(
        self,
        script: Script,
        keys: tuple[str | bytes, ...],
        *arguments: Any,
        heard: Callable[[Any], None] | None = None,
    ) -> bool:
        """Send one script and go on, as ``send`` does; it runs also where Redis has forgotten it.

        The first time over a connection it is sent in full: a second try would come behind what was sent meanwhile.

        ``heard`` is called with the reply, or with the error that Redis refuses it with; never where the connection
        is lost meanwhile.
        """

        def answered(reply: Any) -> None:
            if isinstance(reply, NoScriptError):
                self._put(_packed("EVAL", script.source, keys, arguments), heard)
            elif heard is not None:
                heard(reply)

        if script.digest in self._known:
            return self._put(_packed("EVALSHA", script.digest, keys, arguments), answered)
        is_sent = self._put(_packed("EVAL", script.source, keys, arguments), answered)
        if is_sent:
            self._known.add(script.digest)
        return is_sent

    def _put(self, packed: bytes, due: Due) -> bool:
        if self._pipeline is None:
            return False
        try:
            self._pipeline.put(packed, due)
        except RedisUnavailable:
            return False
        return True

    def _ask(self, packed: bytes) -> asyncio.Future[Any]:
        return self._ask_early(packed) if self._pipeline is None else self._pipeline.ask(packed)

    def _ask_early(self, packed: bytes) -> asyncio.Future[Any]:
        """Let a command wait for the connection, as long as it may wait for its reply."""
        if self._task is None or monotonic() < self._cool_until or len(self._early) >= MAX_UNANSWERED:
            raise RedisUnavailable("Redis is not reachable")
        if self._early_patience is None:
            self._early_patience = Patience(self._timeout_seconds, self._give_early_up)
        self._wanted.set()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._early.append((packed, reply))
        return reply

    def _give_early_up(self) -> None:
        """Connecting takes long: the next commands need not wait to find that out."""
        self._cool_down(RedisUnavailable("Redis did not answer in time"))

    def _cool_down(self, error: RedisUnavailable) -> None:
        self._cool_until = monotonic() + _COOL_DOWN_SECONDS
        for _, reply in self._take_early():
            reply.set_exception(error)

    def _take_early(self) -> list[tuple[bytes, asyncio.Future[Any]]]:
        """Return the commands whose callers still wait for a connection."""
        if self._early_patience is not None:
            self._early_patience.cancel()
            self._early_patience = None
        early, self._early = self._early, []
        return [(packed, reply) for packed, reply in early if not reply.done()]

    async def _run(self) -> None:
        """Own the connection: open it when somebody wants it, and wait until it is lost."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                try:
                    await self._serve()
                except (RedisError, OSError, TimeoutError) as error:
                    self._cool_down(RedisUnavailable(str(error)))
        finally:
            self._cool_down(RedisUnavailable("closed"))

    async def _serve(self) -> None:
        connection: AbstractConnection = self._pool.make_connection()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                await connection.connect()
            self._lost.clear()
            pipeline = self._pipeline = RedisPipeline(_transport_of(connection), self._timeout_seconds, self._on_lost)
            for packed, reply in self._take_early():
                pipeline.put(packed, reply)
            try:
                await self._lost.wait()
            finally:
                pipeline.lose(RedisUnavailable("closed"))
        finally:
            await connection.disconnect(nowait=True)

    def _on_lost(self, error: RedisUnavailable) -> None:
        self._pipeline = None
        self._known.clear()
        self._cool_down(error)
        self._lost.set()


def _packed(verb: str, script: str, keys: tuple[str | bytes, ...], arguments: tuple[Any, ...]) -> bytes:
    command: tuple[Any, ...] = (verb, script, len(keys), *keys, *arguments)
    return pack_command(command)


def _transport_of(connection: AbstractConnection) -> asyncio.Transport:
    """Return the open connection; redis-py has read every reply to what it sent."""
    writer: asyncio.StreamWriter | None = connection._writer  # type: ignore[attr-defined]  # noqa: SLF001
    if writer is None:
        raise ConnectionError("Redis closed the connection")
    return writer.transport  # type: ignore[return-value]

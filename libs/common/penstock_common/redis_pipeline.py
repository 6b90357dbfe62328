"""Commands in flight on one open connection to Redis, and the replies that are due, in the same order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from hiredis import PushNotification, Reader
from redis.asyncio.connection import DefaultParser
from redis.exceptions import ConnectionError as Disconnection
from redis.exceptions import InvalidResponse

MAX_UNANSWERED = 4096
"""Commands of one connection that have no reply yet; more are refused at once."""

# A loop that stalled hears its timers before its sockets. So a timeout is waited for in so many parts, a timer each, and
# one part more: a stall of any length uses up one of them, what has arrived is read between two, and Redis has the others.
_PARTS_OF_A_TIMEOUT = 5
_LOOKS = _PARTS_OF_A_TIMEOUT + 1
_INCOMPLETE = object()

Due: TypeAlias = "asyncio.Future[Any] | Callable[[Any], None] | None"
"""Whom a reply is for: who waits for it, who is called with it (a refusal is an exception) and must not raise, or nobody."""


class RedisUnavailable(Exception):
    """Redis did not answer in time, or cannot be reached."""

    may_be_done = False
    """Whether the command was on its way, so that Redis may yet execute it."""


class Patience:
    """Calls ``expired`` once its time has passed, and a fifth of it; what the loop sleeps through counts for a fifth."""

    def __init__(self, seconds: float, expired: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._part_seconds = seconds / _PARTS_OF_A_TIMEOUT
        self._expired = expired
        self._looks_left = _LOOKS
        self._timer = self._loop.call_later(self._part_seconds, self._look)

    def cancel(self) -> None:
        """Never call back."""
        self._timer.cancel()

    def _look(self) -> None:
        self._looks_left -= 1
        if self._looks_left:
            self._timer = self._loop.call_later(self._part_seconds, self._look)
        else:
            self._expired()


class RedisPipeline(asyncio.Protocol):
    """Writes what a turn of the loop has gathered, and hands every reply to whom it is due.

    A reply that is late, that nobody asked for, or that cannot be read ends
    the pipeline: whoever waits gets ``RedisUnavailable``, and ``on_lost`` is
    called once.
    """

    def __init__(
        self, transport: asyncio.Transport, timeout_seconds: float, on_lost: Callable[[RedisUnavailable], None]
    ) -> None:
        """Take over a connection on which nothing is due; there must be a running loop."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._part_seconds = timeout_seconds / _PARTS_OF_A_TIMEOUT
        self._on_lost = on_lost
        # The parser's errors are redis-py's classes.
        self._reader = Reader(InvalidResponse, DefaultParser.parse_error, notEnoughData=_INCOMPLETE)
        self._due: deque[Due] = deque()
        self._answered = 0
        self._unsent: list[bytes] = []
        # For each write: how many replies there will be once all of it is answered, and at which look they are late.
        self._deadlines: deque[tuple[int, int]] = deque()
        self._looks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_lost = False
        transport.set_protocol(self)

    def ask(self, packed: bytes) -> asyncio.Future[Any]:
        """Return what becomes the reply.

        Raises:
            RedisUnavailable: too many commands are under way.
        """
        reply: asyncio.Future[Any] = self._loop.create_future()
        self.put(packed, reply)
        return reply

    def put(self, packed: bytes, due: Due) -> None:
        """Send a command after those before it; nothing happens once the pipeline is lost.

        Raises:
            RedisUnavailable: too many commands are under way.
        """
        if len(self._due) >= MAX_UNANSWERED:
            raise RedisUnavailable("too many commands wait for Redis")
        self._due.append(due)
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)

    @property
    def unsent_bytes(self) -> int:
        """How much of what was put has not been sent yet."""
        written = self._transport.get_write_buffer_size()
        return written + sum(map(len, self._unsent)) if self._unsent else written

    def _flush(self) -> None:
        """Write everything that this turn of the loop has gathered."""
        commands, self._unsent = self._unsent, []
        if self._is_lost:
            return
        self._transport.write(commands[0] if len(commands) == 1 else b"".join(commands))
        self._forget_answered()
        self._deadlines.append((self._answered + len(self._due), self._looks + _LOOKS))
        if self._timer is None:
            self._timer = self._loop.call_later(self._part_seconds, self._look)

    def _forget_answered(self) -> None:
        while self._deadlines and self._deadlines[0][0] <= self._answered:
            self._deadlines.popleft()

    def _look(self) -> None:
        """See whether a reply is late; one timer serves all, as they come in order."""
        self._timer = None
        self._looks += 1
        self._forget_answered()
        if not self._deadlines:
            return
        if self._deadlines[0][1] <= self._looks:
            self.lose(RedisUnavailable("Redis did not answer in time"))
        else:
            self._timer = self._loop.call_later(self._part_seconds, self._look)

    def data_received(self, data: bytes) -> None:
        """Hand over every reply that is whole."""
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _INCOMPLETE:
                if type(reply) is PushNotification:
                    continue
                if self._is_lost or not self._due:
                    self.lose(RedisUnavailable("Redis answered what nobody asked"))
                    return
                self._answered += 1
                self._deliver(self._due.popleft(), reply)
        except InvalidResponse as error:
            self.lose(RedisUnavailable(f"Redis said what cannot be read: {error}"))

    def _deliver(self, due: Due, reply: Any) -> None:
        refused = isinstance(reply, Exception)
        if refused and isinstance(reply, Disconnection):
            # It is loading its data, or no longer knows who we are: nothing on this connection will be served.
            self._due.appendleft(due)
            self.lose(RedisUnavailable(str(reply)))
        elif due is None:
            return
        elif not isinstance(due, asyncio.Future):
            due(reply)
        elif not due.done():
            if refused:
                due.set_exception(reply)
            else:
                due.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.lose(RedisUnavailable(str(exc or "Redis closed the connection")))

    def lose(self, error: RedisUnavailable) -> None:
        """End the pipeline and its connection; only the first call does anything."""
        if self._is_lost:
            return
        self._is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        # Not close(): it would wait until a Redis that hangs has read everything.
        self._transport.abort()
        self._on_lost(error)
        waiting, self._due = self._due, deque()
        under_way = RedisUnavailable(str(error))
        under_way.may_be_done = True
        for due in waiting:
            if isinstance(due, asyncio.Future) and not due.done():
                due.set_exception(under_way)

"""Sends streams of server-sent events: the head held back, silence filled, nothing after an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from penstock_gateway.surfaces.http1.messages import HttpResponse

_LINES = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
# How exact the times are: an eighth of the shorter one, from 1 ms to 1 s.
_LOOKS_PER_SILENCE = 8
_SHORTEST_LOOK_SECONDS = 0.001
_LONGEST_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """``hold_back``: the longest the head waits for content; ``keep_alive``: the longest silence after it."""

    hold_back: timedelta = timedelta(seconds=10)
    keep_alive: timedelta = timedelta(seconds=15)


class Silences:
    """Fills the silences of every open stream, with one timer for all that runs while there are any."""

    def __init__(self, timing: StreamTiming) -> None:
        shorter = min(timing.hold_back, timing.keep_alive).total_seconds() / _LOOKS_PER_SILENCE
        self._every_seconds = min(max(shorter, _SHORTEST_LOOK_SECONDS), _LONGEST_LOOK_SECONDS)
        # A silence is seen a look late at each end, and must not be longer for that.
        self.hold_back_seconds = max(0, timing.hold_back.total_seconds() - self._every_seconds)
        self.keep_alive_seconds = max(0, timing.keep_alive.total_seconds() - 2 * self._every_seconds)
        self._streams: set[EventStream] = set()
        self._is_looking = False

    def watch(self, stream: EventStream) -> None:
        """Look after a stream until it is forgotten."""
        self._streams.add(stream)
        if not self._is_looking:
            self._is_looking = True
            self._look_later()

    def forget(self, stream: EventStream) -> None:
        """Leave a stream alone from now on."""
        self._streams.discard(stream)

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._every_seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._streams:
            self._is_looking = False
            return
        self._look_later()
        now = loop.time()
        for stream in [stream for stream in self._streams if stream.is_silent(now)]:
            stream.fill()


class EventStream:
    """One response of server-sent events.

    Until the first frame or ``hold_back`` the head is not sent, so that a
    failure still gets a status of its own. Neither a task nor a timer of its own.
    """

    __slots__ = ("_has_moved", "_head", "_keep_alive", "_quiet_until", "_response", "_silences")

    def __init__(
        self,
        response: HttpResponse,
        head: Callable[[], bytes],
        silences: Silences,
        keep_alive: bytes | Callable[[], bytes],
    ) -> None:
        """Take the response; ``keep_alive`` is the frame that fills a silence, or makes it."""
        self._response = response
        self._head = head
        self._silences = silences
        self._keep_alive = keep_alive
        self._has_moved = False
        self._quiet_until = asyncio.get_running_loop().time() + silences.hold_back_seconds
        silences.watch(self)

    @property
    def begun(self) -> bool:
        """Whether the head is sent."""
        return self._response.is_begun

    def write(self, frames: bytes) -> Awaitable[None]:
        """Send frames, if there are any, once the client's buffer has room for them, which is what to wait for."""
        if not frames:
            return _nothing()
        self._has_moved = True
        if not self._response.is_begun:
            self._begin()
        return self._response.write(frames)

    def begin(self) -> None:
        """Send the head, whatever comes and when."""
        if not self._response.is_begun:
            self._begin()
            self._response.push(b"")

    def end(self, frames: bytes) -> None:
        """Send the last frames and end the response."""
        self.stop()
        if not self._response.is_begun:
            self._begin()
        self._response.end(frames)

    def stop(self) -> None:
        """Fill no more silence."""
        self._silences.forget(self)

    def is_silent(self, now: float) -> bool:
        """Return whether a silence has lasted too long; ``now`` is the loop's time."""
        if self._has_moved:
            # Silence begins at the first look that finds nothing moved; the time of each write would cost more.
            self._has_moved = False
            self._quiet_until = now + self._silences.keep_alive_seconds
        return now >= self._quiet_until

    def fill(self) -> None:
        """Send the frame that says nothing, and the head before it."""
        self._has_moved = True
        if not self._response.is_begun:
            self._begin()
        # A reader that does not read has enough waiting already.
        if self._response.has_room:
            keep_alive = self._keep_alive
            self._response.push(keep_alive if isinstance(keep_alive, bytes) else keep_alive())

    def _begin(self) -> None:
        self._response.begin(200, self._head() + _LINES)


async def _nothing() -> None:
    pass

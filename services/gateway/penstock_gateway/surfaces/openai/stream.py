"""Sends a stream of server-sent events: the head held back, silence filled, nothing after an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from penstock_gateway.surfaces.http import Header, Send
from penstock_gateway.surfaces.openai.render import keep_alive

_EVENT_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """``hold_back``: the longest the head waits for content; ``keep_alive``: the longest silence after it."""

    hold_back: timedelta = timedelta(seconds=10)
    keep_alive: timedelta = timedelta(seconds=15)


class EventStream:
    """One response of server-sent events.

    Until the first frame or ``hold_back`` the head is not sent, so that a
    failure still gets a status of its own. One timer, and no task while
    anything moves.
    """

    def __init__(self, send: Send, head: Callable[[], list[Header]], timing: StreamTiming) -> None:
        self._send = send
        self._head = head
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._last_sent = self._loop.time()
        self._filler: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(timing.hold_back.total_seconds(), self._fill)
        self.begun = False

    async def write(self, frames: bytes) -> None:
        """Send frames at once; returns when the client's buffer has room."""
        self._last_sent = self._loop.time()
        if not self.begun:
            # From now on it is keep_alive that counts, which may be sooner.
            self._timer.cancel()
            self._timer = self._loop.call_later(self._timing.keep_alive.total_seconds(), self._fill)
            await self._begin()
        await self._send({"type": "http.response.body", "body": frames, "more_body": True})

    async def end(self, frames: bytes) -> None:
        """Send the last frames and end the response."""
        self.stop()
        if not self.begun:
            await self._begin()
        await self._send({"type": "http.response.body", "body": frames})

    def stop(self) -> None:
        """Fill no more silence."""
        self._timer.cancel()
        if self._filler is not None:
            self._filler.cancel()

    async def _begin(self) -> None:
        self.begun = True
        await self._send({"type": "http.response.start", "status": 200, "headers": [*self._head(), *_EVENT_STREAM]})

    def _fill(self) -> None:
        """Send a comment if nothing was sent for long, and look again later."""
        quiet_until = self._last_sent + self._timing.keep_alive.total_seconds()
        now = self._loop.time()
        if not self.begun or now >= quiet_until:
            # A reader that does not read has its comment waiting already.
            if self._filler is None or self._filler.done():
                self._filler = self._loop.create_task(self.write(keep_alive()))
            quiet_until = now + self._timing.keep_alive.total_seconds()
        self._timer = self._loop.call_at(quiet_until, self._fill)

"""Sending a stream's responses to a caller who may not read them."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from penstock_common.errors import DeadlineExceeded
from penstock_common.rpc.scope import Metadata


class CallerLeftError(asyncio.CancelledError):
    """The caller is gone; grpcio takes it as the cancellation that it is."""


async def written(context: Any, response: bytes) -> None:
    """Return when the transport has room for the next response.

    Raises:
        CallerLeftError: if it will never be sent.
    """
    try:
        await context.write(response)
    except (grpc.aio.InternalError, grpc.aio.UsageError) as failure:
        raise CallerLeftError from failure


async def begun(context: Any, head: Metadata) -> None:
    """Send what an answer begins with.

    Raises:
        CallerLeftError: if it will never be sent.
    """
    try:
        await context.send_initial_metadata(head)
    except (grpc.aio.InternalError, grpc.aio.UsageError) as failure:
        raise CallerLeftError from failure


class Sendings:
    """Ends every response of a listener that is not taken within ``timeout_seconds``; one timer watches them all."""

    __slots__ = ("_timer", "begun_at", "timeout_seconds")

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self.begun_at: dict[ResponseSender, float] = {}
        """What is being sent, and since when: as all have the same time, in the order in which they are due."""
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look once the time of what is being sent is over, unless that is foreseen."""
        if self._timer is None:
            self._timer = loop.call_later(self.timeout_seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, now, stalled = None, loop.time(), list[ResponseSender]()
        for sender, begun_at in self.begun_at.items():
            left = begun_at + self.timeout_seconds - now
            if left > 0:
                self._timer = loop.call_later(max(left, 0.001), self._look, loop)
                break
            stalled.append(sender)
        for sender in stalled:
            del self.begun_at[sender]
            sender.stall()


class ResponseSender:
    """Writes the responses of one call; one that is not taken in time ends the call's task, and the call."""

    __slots__ = ("_context", "_is_stalled", "_sendings", "_task", "waiting_bytes")

    def __init__(self, context: Any, sendings: Sendings) -> None:
        self._context = context
        self._sendings = sendings
        self._task: asyncio.Task[Any] | None = None
        self._is_stalled = False
        self.waiting_bytes = 0
        """Of the response that is being sent."""

    async def send(self, response: bytes) -> None:
        """Return when the transport has room for the next.

        Raises:
            DeadlineExceeded: if the caller does not read.
            CallerLeftError: if there is none any more.
        """
        loop, sendings = asyncio.get_running_loop(), self._sendings
        self.waiting_bytes = len(response)
        if self._task is None:
            self._task = asyncio.current_task()
        sendings.begun_at[self] = loop.time()
        sendings.watch(loop)
        try:
            await written(self._context, response)
            self.waiting_bytes = 0
        except asyncio.CancelledError:
            if not self._is_stalled or self._task is None or self._task.uncancel() > 0:
                raise
            raise DeadlineExceeded("The answer was not read in time.") from None
        finally:
            sendings.begun_at.pop(self, None)

    def stall(self) -> None:
        """End what waits for the caller to read."""
        self._is_stalled = True
        if self._task is not None:
            self._task.cancel()

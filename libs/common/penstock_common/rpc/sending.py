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


class ResponseSender:
    """Writes responses; one that is not taken within ``timeout_seconds`` ends the call's task, and the call.

    One timer watches a whole stream, and looks at most once in the timeout:
    what is sent costs no timer of its own.
    """

    __slots__ = ("_context", "_since", "_stalled", "_task", "_timeout_seconds", "_timer", "waiting_bytes")

    def __init__(self, context: Any, timeout_seconds: float) -> None:
        self._context = context
        self._timeout_seconds = timeout_seconds
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._stalled = False
        self.waiting_bytes = 0
        """Of the response that is being sent."""

    async def send(self, response: bytes) -> None:
        """Return when the transport has room for the next.

        Raises:
            DeadlineExceeded: if the caller does not read.
            CallerLeftError: if there is none any more.
        """
        loop = asyncio.get_running_loop()
        self._since, self.waiting_bytes = loop.time(), len(response)
        if self._timer is None:
            self._task = asyncio.current_task()
            self._timer = loop.call_later(self._timeout_seconds, self._look)
        try:
            await written(self._context, response)
            self.waiting_bytes = 0
        except asyncio.CancelledError:
            if not self._stalled or self._task is None or self._task.uncancel() > 0:
                raise
            raise DeadlineExceeded("The answer was not read in time.") from None
        finally:
            self._since = 0.0

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._since + self._timeout_seconds - loop.time() if self._since else self._timeout_seconds
        if left <= 0 and self._task is not None:
            self._stalled, self._timer = True, None
            self._task.cancel()
            return
        self._timer = loop.call_later(max(left, 0.001), self._look)

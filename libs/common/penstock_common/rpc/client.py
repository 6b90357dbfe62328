"""The client side of a call between services: one interface over both transports."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Protocol, TypeVar

from penstock_common.errors import DeadlineExceeded
from penstock_common.rpc.method import DuplexMethod, StreamMethod, UnaryMethod
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.telemetry.steps import Step

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
ResponseT_co = TypeVar("ResponseT_co", covariant=True)

# What a hop keeps for itself, so that the callee's deadline error arrives before our own.
DEADLINE_MARGIN_SECONDS = 0.020
DEFAULT_TIMEOUT = timedelta(seconds=60)
_DEFAULT_SECONDS = DEFAULT_TIMEOUT.total_seconds()


class ResponseStream(Protocol[ResponseT_co]):
    """The responses of one call. Whoever opens it closes it, whatever the way out: leaving a loop does not."""

    def __aiter__(self) -> AsyncIterator[ResponseT_co]:
        """Iterate once, in one task."""
        ...

    async def aclose(self) -> None:
        """End the call; in process, return when the servicer's ``finally`` has run.

        Not while another task reads. May be repeated; a stream that was closed is over.
        """
        ...


class Channel(Protocol):
    """Calls a service, in this process or over a socket; every failure is a domain error.

    A call never outlives the request's deadline, less a margin, and carries the
    request's identity. ``timeout`` is in seconds. The steps that the service took
    are added to ``steps``, however the call ends.

    Raises:
        DeadlineExceeded: if no time is left, or it runs out.
        ServiceUnavailable: if the service does not answer.
        InternalError: if the service has a defect.
        PenstockError: what the service itself says.
    """

    async def call(
        self,
        method: UnaryMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - an RPC's, which travels
        steps: list[Step] | None = None,
    ) -> ResponseT:
        """Return the response."""
        ...

    def stream(
        self,
        method: StreamMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses; nothing is asked before the first is."""
        ...

    def exchange(
        self,
        method: DuplexMethod[RequestT, ResponseT],
        requests: AsyncIterator[RequestT],
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses; nothing of the requests is asked for before the first is.

        The requests are read while responses are: what waits for room on either side waits in the other, too. Where reading
        them fails, the call does; once it has ended they are read no more.
        """
        ...


def deadline_of(scope: RequestScope, timeout: float | None, now: float) -> float:
    """Return when a call must have ended, on ``time.monotonic``: the request's deadline less the margin, or sooner."""
    if scope.deadline is None:
        return now + (_DEFAULT_SECONDS if timeout is None else timeout)
    latest = scope.deadline - DEADLINE_MARGIN_SECONDS
    return latest if timeout is None or now + timeout > latest else now + timeout


def is_time_left() -> bool:
    """Return whether the request has time left: then a call that ran out of its own was late, and not the request."""
    deadline = CURRENT_SCOPE.get().deadline
    return deadline is None or time.monotonic() < deadline - DEADLINE_MARGIN_SECONDS


def deadline_passed() -> DeadlineExceeded:
    """Return the error of a call whose time is over."""
    return DeadlineExceeded("The request's deadline passed.")

"""The transport within one process: a call is a call, values pass by reference.

A servicer runs in its caller's task and context: no task is made per call, and
cancelling the caller cancels the servicer. It runs at once, until it waits; only
then a timer is armed. So a value is frozen once it is passed, and a servicer sets
no context variables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterable
from types import coroutine
from typing import Any, TypeVar

import structlog

from penstock_common.errors import InternalError, PenstockError, ServiceUnavailable
from penstock_common.rpc.client import ResponseStream, deadline_of, deadline_passed
from penstock_common.rpc.method import DuplexMethod, Handler, Method, Responses, StreamMethod, UnaryMethod
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry.steps import Step, Steps

_log = structlog.get_logger(__name__)

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class InProcessChannel:
    """Implements ``client.Channel`` for the services of this process."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self._handlers = {handler.method.path: handler for handler in handlers}

    async def call(
        self,
        method: UnaryMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - an RPC's, which travels
        steps: list[Step] | None = None,
    ) -> ResponseT:
        """Return the response."""
        handler = self._handlers.get(method.path)
        if handler is None:
            raise _nobody_serves(method)
        scope, now = CURRENT_SCOPE.get(), time.monotonic()
        deadline = deadline_of(scope, timeout, now)
        if deadline <= now:
            raise deadline_passed()
        call = ServerCall(method.path, scope, deadline, Steps() if steps is None else Steps(steps))
        servicer = handler.behaviour(request, call)
        try:
            waits_for = servicer.send(None)
        except StopIteration as done:
            return done.value
        except BaseException as error:
            if _passes(error, method.path):
                raise
        else:
            return await _Limit(method.path, deadline).rest(servicer, waits_for)
        raise InternalError

    def stream(
        self,
        method: StreamMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses."""
        handler = self._handlers.get(method.path)
        if handler is None:
            raise _nobody_serves(method)
        scope = CURRENT_SCOPE.get()
        deadline = deadline_of(scope, timeout, time.monotonic())
        call = ServerCall(method.path, scope, deadline, Steps() if steps is None else Steps(steps))
        return _Responses(method.path, deadline, handler.behaviour(request, call))

    def exchange(
        self,
        method: DuplexMethod[RequestT, ResponseT],
        requests: AsyncIterator[RequestT],
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses; the servicer reads the requests themselves."""
        passed: Any = method
        return self.stream(passed, requests, timeout=timeout, steps=steps)


class _Limit:
    """Ends what a task waits for at a deadline, by cancelling the task; the caller sees DeadlineExceeded."""

    __slots__ = ("_deadline", "_expired", "_path", "_task", "_timer")

    def __init__(self, path: str, deadline: float) -> None:
        self._path = path
        self._deadline = deadline
        self._expired = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None

    @coroutine
    def rest(self, servicer: Any, waits_for: Any) -> Generator[Any, Any, Any]:
        """Go on with a servicer that waits for the first time, to the end of this step.

        Raises:
            DeadlineExceeded: if the time was over meanwhile, whatever the servicer made of that.
            InternalError: for what is no domain error; the cause is logged.
        """
        task = self._task = asyncio.current_task()
        assert task is not None, "called outside of a task"
        cancelling = task.cancelling()
        self._arm()
        try:
            response = yield from _resumed(servicer, waits_for)
        except BaseException as error:
            self._leave()
            passes = _passes(error, self._path, cancelling)
            if passes and not (self._expired and isinstance(error, (Exception, asyncio.CancelledError))):
                raise
        else:
            self._pause()
            if not self._expired:
                return response
        # Raised here, so that what the servicer raised is not their context.
        if not self._expired:
            raise InternalError
        if task.uncancel() <= cancelling:
            raise deadline_passed()
        # Somebody else cancelled the task as well, and that is not over.
        raise asyncio.CancelledError

    def _arm(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._deadline - time.monotonic(), self._expire)

    def _leave(self) -> None:
        """Watch no longer."""
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # A call of one step is over after it.
    _pause = _leave

    def _expire(self) -> None:
        self._expired, self._timer = True, None
        if self._task is not None:
            self._task.cancel()


class _Responses(_Limit):
    """Implements ``client.ResponseStream`` over a servicer's generator, which its time ends though nobody reads."""

    __slots__ = ("_closing", "_servicer")

    def __init__(self, path: str, deadline: float, servicer: Responses[Any]) -> None:
        super().__init__(path, deadline)
        self._servicer = servicer
        self._closing: asyncio.Task[None] | None = None

    def __aiter__(self) -> _Responses:
        return self

    async def __anext__(self) -> Any:
        # A timer may be a little early: what it closed has not come to its end.
        if self._expired or self._deadline <= time.monotonic():
            raise deadline_passed()
        step = self._servicer.__anext__()
        try:
            waits_for = step.send(None)
        except StopIteration as done:
            self._arm()
            return done.value
        except BaseException as error:
            self._leave()
            if _passes(error, self._path):
                raise
        else:
            return await self.rest(step, waits_for)
        raise InternalError

    async def aclose(self) -> None:
        """End the call."""
        self._leave()
        if self._closing is None:
            await self._close()
        else:
            await asyncio.wait((self._closing,))

    def _pause(self) -> None:
        self._task = None

    def _expire(self) -> None:
        super()._expire()
        if self._task is None:
            # Nobody reads now, and perhaps nobody will.
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        try:
            await self._servicer.aclose()
        except Exception as defect:  # noqa: BLE001 - nobody is left to tell
            _log_defect(self._path, defect)


def _resumed(servicer: Any, waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with an awaitable that has been started by hand, and waits for the first time."""
    try:
        while True:
            try:
                yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - thrown into the servicer, which decides
                waits_for = servicer.throw(thrown)
            else:
                return (yield from servicer.__await__())
    except StopIteration as done:
        return done.value


def _passes(error: BaseException, path: str, cancelling: int = 0) -> bool:
    """Return whether the caller sees ``error`` as it is; log it where not.

    ``cancelling`` is how often the task had been cancelled before this step.
    """
    if isinstance(error, (PenstockError, StopAsyncIteration)):
        return True
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling() > cancelling:
            return True
        # The servicer let the cancellation of something of its own through.
    elif not isinstance(error, Exception):
        return True
    _log_defect(path, error)
    return False


def _log_defect(path: str, defect: BaseException) -> None:
    _log.error("servicer_failed", method=path, exc_info=defect)


def _nobody_serves(method: Method[Any, Any]) -> ServiceUnavailable:
    return ServiceUnavailable(f"The {method.service} service is not here.", service=method.service)

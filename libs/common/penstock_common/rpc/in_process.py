"""The transport within one process: a call is a call, values pass by reference.

A servicer runs in its caller's task and context: no task is made per call, and
cancelling the caller cancels the servicer. It runs at once, until it waits; only
then a timer is armed. So a value is frozen once it is passed, and a servicer sets
no context variables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable
from types import coroutine
from typing import Any, TypeVar

import structlog

from penstock_common.errors import DeadlineExceeded, InternalError, PenstockError, ServiceUnavailable
from penstock_common.rpc.client import ResponseStream, deadline_of
from penstock_common.rpc.method import Handler, Method, StreamMethod, UnaryMethod
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry.steps import Step, Steps

_log = structlog.get_logger(__name__)

_FAILED = "servicer_failed"
# What reaches a caller as it is.
_PASSING = (PenstockError, StopAsyncIteration, GeneratorExit)

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
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseT:
        """Return the response."""
        behaviour = self._behaviour(method)
        call = _server_call(method, timeout, steps)
        limit = _Limit(method.path, call.deadline)
        return await limit.around(behaviour(request, call))

    def stream(
        self,
        method: StreamMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses."""
        behaviour = self._behaviour(method)
        call = _server_call(method, timeout, steps)
        return _Responses(behaviour(request, call), _Limit(method.path, call.deadline))

    def _behaviour(self, method: Method[Any, Any]) -> Any:
        handler = self._handlers.get(method.path)
        if handler is None:
            raise ServiceUnavailable(f"The {method.service} service is not here.", service=method.service)
        return handler.behaviour


def _server_call(method: Method[Any, Any], timeout: float | None, steps: list[Step] | None) -> ServerCall:
    scope = CURRENT_SCOPE.get()
    return ServerCall(method.path, scope=scope, deadline=deadline_of(scope, timeout), steps=Steps(steps))


class _Responses:
    """Implements ``client.ResponseStream`` over a servicer's generator."""

    __slots__ = ("_limit", "_responses")

    def __init__(self, responses: AsyncGenerator[Any, None], limit: _Limit) -> None:
        self._responses = responses
        self._limit = limit
        limit.close = self.aclose

    def __aiter__(self) -> _Responses:
        return self

    def __anext__(self) -> Awaitable[Any]:
        return self._limit.around(self._responses.__anext__())

    async def aclose(self) -> None:
        """End the call."""
        self._limit.end()
        try:
            await self._responses.aclose()
        except Exception as defect:  # noqa: BLE001 - nobody is left to tell
            _log.error(_FAILED, method=self._limit.path, exc_info=defect)


class _Limit:
    """Ends a call at its deadline, by cancelling the task that waits for it; one timer a call, and only if it waits."""

    __slots__ = ("_closing", "_deadline", "_expired", "_task", "_timer", "close", "path")

    def __init__(self, path: str, deadline: float) -> None:
        self.path = path
        self.close: Callable[[], Coroutine[Any, Any, None]] | None = None
        """What ends a stream that nobody reads when its time is over."""
        self._deadline = deadline
        self._expired = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._closing: asyncio.Task[None] | None = None

    @coroutine
    def around(self, awaitable: Any) -> Generator[Any, Any, Any]:
        """Await one step of the call: a unary call's only one, or a stream's next.

        Raises:
            DeadlineExceeded: if the call's time is over.
            InternalError: for whatever is no domain error; the cause is logged.
        """
        if self._deadline <= time.monotonic():
            awaitable.close()
            raise _deadline_passed()
        steps = awaitable.__await__()
        try:
            waits_for = steps.send(None)
        except StopIteration as done:
            return done.value
        except _PASSING:
            raise
        except BaseException as error:
            raise self._seen(error, cancelling=0) from None
        return (yield from self._waiting(steps, waits_for))

    def _waiting(self, steps: Generator[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
        task = self._task = asyncio.current_task()
        assert task is not None, "called outside of a task"
        cancelling = task.cancelling()
        if self._timer is None:
            delay = self._deadline - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)
        try:
            result = yield from _rest(steps, waits_for)
        except _PASSING:
            self._leave(task, cancelling)
            raise
        except BaseException as error:
            self._leave(task, cancelling)
            raise self._seen(error, cancelling) from None
        self._leave(task, cancelling)
        return result

    def _leave(self, task: asyncio.Task[Any], cancelling: int) -> None:
        """Note that nobody waits any more; raise instead of what the step brought, where the time was over."""
        self._task = None
        if self.close is None:
            self.end()
        if not self._expired:
            return
        if task.uncancel() <= cancelling:
            raise _deadline_passed() from None
        raise asyncio.CancelledError

    def _seen(self, error: BaseException, cancelling: int) -> BaseException:
        """Return what the caller sees of an error that is no domain error."""
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling() > cancelling:
                return error
            # Its servicer let the cancellation of something of its own through.
        elif not isinstance(error, Exception):
            return error
        _log.error(_FAILED, method=self.path, exc_info=error)
        return InternalError()

    def _expire(self) -> None:
        self._expired, self._timer = True, None
        if self._task is not None:
            self._task.cancel()
        elif self.close is not None:
            # Nobody reads now, and perhaps nobody will.
            self._closing = asyncio.get_running_loop().create_task(self.close())

    def end(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _rest(steps: Generator[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with an awaitable that has waited for the first time."""
    try:
        while True:
            try:
                yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - thrown into the servicer, which decides
                waits_for = steps.throw(thrown)
            else:
                return (yield from steps)
    except StopIteration as done:
        return done.value


def _deadline_passed() -> DeadlineExceeded:
    return DeadlineExceeded("The request's deadline passed.")

"""One call over the in-process channel, with the endings of a call over a socket."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Protocol

import grpc

from penstock_common.rpc.interception import WrappedHandler

_CANCELLED_HERE = "Locally cancelled by application!"
_DEADLINE_PASSED = "Deadline Exceeded"
_DEFECT = "Unexpected error in the servicer"


class Handlers(Protocol):
    """The server's end, as a call sees it."""

    max_message_bytes: int

    def handler(self, method: str) -> WrappedHandler | None:
        """Return the handler of ``/package.Service/Method``."""
        ...


class InProcessContext:
    """The part of ``grpc.aio.ServicerContext`` that servicers use."""

    def __init__(self, metadata: Any, deadline: float | None) -> None:
        self._metadata = tuple(metadata or ())
        self._deadline = deadline
        self._trailing: Any = ()
        self.initial_metadata: Any = ()
        self.status_code = grpc.StatusCode.OK
        self.status_details = ""

    def invocation_metadata(self) -> Any:
        """Return the caller's metadata."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline, or None where there is none."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Set the metadata that comes before the first response."""
        self.initial_metadata = tuple(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Set the metadata that comes with the status."""
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        """Return the metadata that comes with the status."""
        return self._trailing

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status code of a call that returns normally."""
        self.status_code = code

    def set_details(self, details: str) -> None:
        """Set the status message of a call that returns normally."""
        self.status_details = details

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self.status_code

    def details(self) -> str:
        """Return the status message."""
        return self.status_details

    def peer(self) -> str:
        """Return who calls."""
        return "in-process"

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        """End the call with a failure."""
        self.status_code, self.status_details = code, details
        if trailing_metadata:
            self._trailing = tuple(trailing_metadata)
        raise grpc.aio.AbortError


class _Call:
    """What unary and streaming calls share: identity, deadline, status.

    The first ending counts, as on a socket: a response, an error, the
    deadline or a cancellation.
    """

    def __init__(self, server: Handlers, method: str, request: Any, timeout: float | None, metadata: Any) -> None:
        self._server = server
        self._method = method
        self._request = request
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._context = InProcessContext(metadata, self._deadline)
        self._run_in = contextvars.copy_context()
        self._waiting: asyncio.Task[Any] | None = None
        self._interrupts_task = False
        self._timer: asyncio.TimerHandle | None = None
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: Any = ()
        self._cancelled_here = False
        self._callbacks: list[Callable[[Any], None]] = []

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline, or None where there is none."""
        return self._context.time_remaining()

    def done(self) -> bool:
        """Return whether the call has ended."""
        return self._code is not None

    def cancelled(self) -> bool:
        """Return whether the call ended as CANCELLED, by whichever side."""
        return self._code is grpc.StatusCode.CANCELLED

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback`` with this call at its end, or now where it has ended."""
        if self._code is None:
            self._callbacks.append(callback)
        else:
            callback(self)

    def cancel(self) -> bool:
        """Cancel the call; a servicer that runs sees CancelledError. Return whether it had not ended yet."""
        if self._code is not None:
            return False
        self._cancelled_here = True
        self._interrupt(grpc.StatusCode.CANCELLED, _CANCELLED_HERE)
        return True

    def _pass_deadline(self) -> None:
        if self._code is None:
            self._interrupt(grpc.StatusCode.DEADLINE_EXCEEDED, _DEADLINE_PASSED)

    def _interrupt(self, code: grpc.StatusCode, details: str) -> None:
        """End the call from outside the servicer."""
        self._finish(code, details)
        if self._waiting is not None and self._waiting is not asyncio.current_task():
            self._interrupts_task = True
            self._waiting.cancel()

    async def _wait_for_end(self) -> None:
        if self._code is None:
            ended = asyncio.get_running_loop().create_future()
            self._callbacks.append(lambda _: None if ended.done() else ended.set_result(None))
            await ended

    def _begin(self) -> WrappedHandler:
        """Return the handler to run; the call ends where there is none, or nothing to run it for."""
        if self._code is not None:
            raise self._failure()
        handler = self._server.handler(self._method)
        if handler is None:
            raise self._fail(grpc.StatusCode.UNIMPLEMENTED, f"no servicer for {self._method}")
        self._check_size(self._request)
        if self._deadline is not None:
            delay = self._deadline - time.monotonic()
            if delay <= 0:
                raise self._fail(grpc.StatusCode.DEADLINE_EXCEEDED, _DEADLINE_PASSED)
            self._timer = asyncio.get_running_loop().call_later(delay, self._pass_deadline)
        return handler

    def _check_size(self, message: Any) -> None:
        try:
            size = message.ByteSize()
        except AttributeError:
            raise self._fail(grpc.StatusCode.UNKNOWN, f"{type(message).__name__} is not a message") from None
        if size > self._server.max_message_bytes:
            limit = self._server.max_message_bytes
            raise self._fail(grpc.StatusCode.RESOURCE_EXHAUSTED, f"message of {size} bytes, at most {limit}")

    async def _drive(self, awaitable: Any) -> Any:
        """Await in the call's own context; turn endings into what a socket's caller would see."""
        task = self._waiting = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        try:
            result = await _InContext(self._run_in, awaitable)
        except BaseException as error:  # noqa: BLE001 - every ending is turned into the caller's
            self._waiting = None
            raise self._outcome(error, task, cancelling) from None
        self._waiting = None
        if self._code is not None:
            # It was interrupted, and the servicer did not heed it.
            raise self._outcome(None, task, cancelling)
        return result

    def _outcome(self, error: BaseException | None, task: asyncio.Task[Any], cancelling: int) -> BaseException:
        """Return what the caller sees of a step that ended with ``error``, or was interrupted."""
        if self._interrupts_task:
            self._interrupts_task = False
            task.uncancel()
        caller_cancelled = task.cancelling() > cancelling
        if isinstance(error, StopAsyncIteration | grpc.aio.AbortError):
            self._finish_as_servicer_says()
        elif (
            error is not None
            and not isinstance(error, Exception)
            and (caller_cancelled or not isinstance(error, asyncio.CancelledError))
        ):
            self._cancelled_here = self._cancelled_here or self._code is None
            self._finish(grpc.StatusCode.CANCELLED, _CANCELLED_HERE)
            return error
        else:
            self._finish(grpc.StatusCode.INTERNAL, _DEFECT)
        if caller_cancelled:
            return asyncio.CancelledError()
        if isinstance(error, StopAsyncIteration) and self._code is grpc.StatusCode.OK:
            return error
        return self._failure()

    def _finish_as_servicer_says(self) -> None:
        context = self._context
        self._finish(context.status_code, context.status_details, context.trailing_metadata())

    def _finish(self, code: grpc.StatusCode, details: str, trailing: Any = ()) -> None:
        """Set the status, unless the call has ended before."""
        if self._code is not None:
            return
        self._code, self._details, self._trailing = code, details, trailing
        if self._timer is not None:
            self._timer.cancel()
        for callback in self._callbacks:
            callback(self)

    def _fail(self, code: grpc.StatusCode, details: str) -> BaseException:
        self._finish(code, details)
        return self._failure()

    def _failure(self) -> BaseException:
        """Return the error of a call that did not end well."""
        if self._cancelled_here:
            return asyncio.CancelledError()
        assert self._code is not None
        return grpc.aio.AioRpcError(
            self._code,
            _metadata(self._context.initial_metadata),
            _metadata(self._trailing),
            self._details,
        )

    async def _settle(self) -> None:
        """Wait until the status is known."""
        await self._wait_for_end()

    async def code(self) -> grpc.StatusCode:
        """Return the status code, at the end of the call."""
        await self._settle()
        assert self._code is not None
        return self._code

    async def details(self) -> str:
        """Return the status message, at the end of the call."""
        await self._settle()
        return self._details

    async def trailing_metadata(self) -> Any:
        """Return the metadata that came with the status, at the end of the call."""
        await self._settle()
        return _metadata(self._trailing)


class UnaryCall(_Call):
    """One response; the servicer runs when the call is first awaited."""

    _begun = False
    _response: Any = None

    def __await__(self) -> Generator[Any, None, Any]:
        return self._respond().__await__()

    async def _respond(self) -> Any:
        if self._begun:
            return await self._respond_again()
        self._begun = True
        response = await self._drive(self._begin().unary_unary(self._request, self._context))
        self._check_size(response)
        self._response = response
        self._finish_as_servicer_says()
        if self._code is not grpc.StatusCode.OK:
            raise self._failure()
        return response

    async def _respond_again(self) -> Any:
        try:
            await self._wait_for_end()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self._code is not grpc.StatusCode.OK:
            raise self._failure()
        return self._response

    async def _settle(self) -> None:
        if self._code is not None or self._begun:
            await self._wait_for_end()
            return
        task = asyncio.current_task()
        cancelling = 0 if task is None else task.cancelling()
        try:
            await self
        except grpc.aio.AioRpcError:
            return
        except asyncio.CancelledError:
            if task is not None and task.cancelling() > cancelling:
                raise

    async def initial_metadata(self) -> Any:
        """Return the metadata that came before the response."""
        await self._settle()
        return _metadata(self._context.initial_metadata)


class StreamCall(_Call):
    """Many responses; the servicer runs while one is awaited."""

    _stream: Any = None
    _open = False
    _ahead: Any = None
    _told = False

    def __init__(self, server: Handlers, method: str, request: Any, timeout: float | None, metadata: Any) -> None:
        super().__init__(server, method, request, timeout, metadata)
        self._closing: asyncio.Task[None] | None = None
        self._closed_waiters: list[asyncio.Future[None]] = []

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._code is not None:
            raise await self._told_end()
        if self._ahead is not None:
            response, self._ahead = self._ahead, None
            return response
        try:
            if self._stream is None:
                self._stream = self._begin().unary_stream(self._request, self._context)
                self._open = True
            response = await self._drive(self._stream.__anext__())
            self._check_size(response)
            return response
        except BaseException:
            self._told = True
            await self._close()
            raise

    async def _told_end(self) -> BaseException:
        """Return what iterating over an ended call raises: its failure once, then the end."""
        await self._close()
        if self._told or self._code is grpc.StatusCode.OK:
            return StopAsyncIteration()
        self._told = True
        return self._failure()

    async def read(self) -> Any:
        """Return the next response, or EOF at the end; a failed call raises every time."""
        if self._code is not None:
            await self._close()
            if self._code is not grpc.StatusCode.OK:
                raise self._failure()
            return grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            return grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs

    async def initial_metadata(self) -> Any:
        """Return the metadata that came before the first response, which is read ahead where nobody has read yet."""
        if self._code is None and not self._open:
            try:
                self._ahead = await self.__anext__()
            except (StopAsyncIteration, grpc.aio.AioRpcError):
                self._told = False
        return _metadata(self._context.initial_metadata)

    def _interrupt(self, code: grpc.StatusCode, details: str) -> None:
        super()._interrupt(code, details)
        if self._stream is not None and self._waiting is None:
            # Nobody reads now, and perhaps nobody will; whoever leaves in order closes it first.
            asyncio.get_running_loop().call_soon(self._close_if_left)

    def _close_if_left(self) -> None:
        if self._stream is not None:
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def aclose(self) -> None:
        """End the call and wait until the servicer's ``finally`` has run."""
        self.cancel()
        if self._waiting is None:
            await self._close()
        if self._open:
            closed = asyncio.get_running_loop().create_future()
            self._closed_waiters.append(closed)
            await closed

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            await _InContext(self._run_in, stream.aclose())
        except Exception:  # noqa: BLE001 - the interceptors have seen it; it is not the caller's
            return
        finally:
            self._open = False
            for waiter in self._closed_waiters:
                if not waiter.done():
                    waiter.set_result(None)


class _InContext:
    """Awaits something inside a given context, in the task that awaits this.

    What ``asyncio.Task(context=…)`` does, without the task: every step of the
    inner awaitable runs through ``Context.run``.
    """

    __slots__ = ("_awaitable", "_context")

    def __init__(self, context: contextvars.Context, awaitable: Awaitable[Any]) -> None:
        self._context = context
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        run = self._context.run
        steps = self._awaitable.__await__()
        step: Callable[..., Any] = steps.send
        argument: Any = None
        while True:
            try:
                yielded = run(step, argument)
            except StopIteration as stop:
                return stop.value
            try:
                argument = yield yielded
                step = steps.send
            except BaseException as error:  # noqa: BLE001 - thrown into the inner awaitable, which decides
                argument = error
                step = steps.throw


def _metadata(entries: Any) -> grpc.aio.Metadata:
    return grpc.aio.Metadata(*entries)

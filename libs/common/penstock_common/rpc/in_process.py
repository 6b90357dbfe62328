"""A channel whose other end is in the same process.

It has the interface of ``grpc.aio.Channel`` for unary-unary and unary-stream
calls, which are all that the internal contract uses: generated stubs call
servicers directly, with deadlines, metadata, cancellation, status details and
size limits, and without serialising anything. Therefore a message is frozen
once it is passed.

A servicer runs in the caller's task, in a copy of the caller's context: no
task is made per call, and cancelling the caller cancels the servicer.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Any

import grpc

from penstock_common.rpc.interception import RpcRegistrar, ServerInterceptor, WrappedHandler

MAX_MESSAGE_BYTES = 32 * 1024 * 1024


class InProcessServer:
    """Holds the handlers of one service or several."""

    def __init__(
        self, interceptors: Sequence[ServerInterceptor] = (), max_message_bytes: int = MAX_MESSAGE_BYTES
    ) -> None:
        self._handlers: dict[str, WrappedHandler] = {}
        self.registrar = RpcRegistrar(interceptors, self._add)
        self.max_message_bytes = max_message_bytes

    def _add(self, service_name: str, handlers: dict[str, Any]) -> None:
        self._handlers.update({f"/{service_name}/{name}": handler for name, handler in handlers.items()})

    def handler(self, method: str) -> WrappedHandler | None:
        """Return the handler of ``/package.Service/Method``."""
        return self._handlers.get(method)


class InProcessChannel:
    """Stubs made on this channel call the server's servicers directly."""

    def __init__(self, server: InProcessServer) -> None:
        self._server = server

    def unary_unary(self, method: str, *_: Any, **__: Any) -> Callable[..., UnaryCall]:
        """Return the multi-callable that a generated stub asks for."""
        server = self._server

        def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **_: Any) -> UnaryCall:
            return UnaryCall(server, method, request, timeout, metadata)

        return call

    def unary_stream(self, method: str, *_: Any, **__: Any) -> Callable[..., StreamCall]:
        """Return the multi-callable that a generated stub asks for."""
        server = self._server

        def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **_: Any) -> StreamCall:
            return StreamCall(server, method, request, timeout, metadata)

        return call

    def stream_unary(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """Return a multi-callable that refuses: no internal contract streams requests."""
        return _unsupported(method)

    def stream_stream(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """Return a multi-callable that refuses: no internal contract streams requests."""
        return _unsupported(method)

    async def close(self, grace: float | None = None) -> None:
        """Do nothing: there is no connection."""


def _unsupported(method: str) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"{method} streams its request; the in-process channel does not")

    return call


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
    """What unary and streaming calls share: identity, deadline, status."""

    def __init__(
        self, server: InProcessServer, method: str, request: Any, timeout: float | None, metadata: Any
    ) -> None:
        self._server = server
        self._method = method
        self._request = request
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._context = InProcessContext(metadata, self._deadline)
        self._run_in = contextvars.copy_context()
        self._waiting: asyncio.Task[Any] | None = None
        self._interruption: grpc.StatusCode | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done = False

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline, or None where there is none."""
        return self._context.time_remaining()

    def done(self) -> bool:
        """Return whether the call has ended."""
        return self._done

    def cancelled(self) -> bool:
        """Return whether this side cancelled the call."""
        return self._interruption is grpc.StatusCode.CANCELLED

    def cancel(self) -> bool:
        """Cancel the call; a servicer that runs sees CancelledError."""
        return self._interrupt(grpc.StatusCode.CANCELLED)

    def _interrupt(self, code: grpc.StatusCode) -> bool:
        if self._done or self._interruption is not None:
            return False
        self._interruption = code
        if self._waiting is not None:
            self._waiting.cancel()
        return True

    def _handler(self) -> WrappedHandler:
        handler = self._server.handler(self._method)
        if handler is None:
            raise self._error(grpc.StatusCode.UNIMPLEMENTED, f"no servicer for {self._method}")
        self._check_size(self._request)
        return handler

    def _check_size(self, message: Any) -> None:
        size = message.ByteSize()
        if size > self._server.max_message_bytes:
            limit = self._server.max_message_bytes
            raise self._error(grpc.StatusCode.RESOURCE_EXHAUSTED, f"message of {size} bytes, at most {limit}")

    def _start_timer(self) -> None:
        if self._deadline is None or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        delay = max(0.0, self._deadline - time.monotonic())
        self._timer = loop.call_later(delay, self._interrupt, grpc.StatusCode.DEADLINE_EXCEEDED)

    async def _drive(self, awaitable: Any) -> Any:
        """Await in the call's own context; turn endings into what a socket's caller would see."""
        if self._interruption is not None:
            raise self._interruption_error()
        self._start_timer()
        task = self._waiting = asyncio.current_task()
        cancelling = 0 if task is None else task.cancelling()
        try:
            return await _InContext(self._run_in, awaitable)
        except grpc.aio.AbortError:
            raise self._error(self._context.status_code, self._context.status_details) from None
        except asyncio.CancelledError:
            if self._interruption is None or task is None:
                raise
            if task.uncancel() > cancelling:
                raise
            raise self._interruption_error() from None
        finally:
            self._waiting = None

    def _finish(self) -> None:
        self._done = True
        if self._timer is not None:
            self._timer.cancel()

    def _interruption_error(self) -> BaseException:
        if self._interruption is grpc.StatusCode.CANCELLED:
            return asyncio.CancelledError()
        return self._error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def _error(self, code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
        return grpc.aio.AioRpcError(
            code, _metadata(self._context.initial_metadata), _metadata(self._context.trailing_metadata()), details
        )

    async def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self._context.status_code

    async def details(self) -> str:
        """Return the status message."""
        return self._context.status_details

    async def initial_metadata(self) -> Any:
        """Return the metadata that came before the first response."""
        return _metadata(self._context.initial_metadata)

    async def trailing_metadata(self) -> Any:
        """Return the metadata that came with the status."""
        return _metadata(self._context.trailing_metadata())


class UnaryCall(_Call):
    """One response; the servicer runs when the call is awaited."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self._respond().__await__()

    async def _respond(self) -> Any:
        try:
            handler = self._handler()
            response = await self._drive(handler.unary_unary(self._request, self._context))
            self._check_size(response)
            if self._context.status_code is not grpc.StatusCode.OK:
                raise self._error(self._context.status_code, self._context.status_details)
            return response
        finally:
            self._finish()


class StreamCall(_Call):
    """Many responses; the servicer runs while one is awaited."""

    _stream: Any = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._done:
            raise StopAsyncIteration
        try:
            if self._stream is None:
                self._stream = self._handler().unary_stream(self._request, self._context)
            response = await self._drive(self._stream.__anext__())
            self._check_size(response)
            return response
        except BaseException:
            await self.aclose()
            raise

    async def read(self) -> Any:
        """Return the next response, or EOF at the end."""
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            return grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs

    async def aclose(self) -> None:
        """End the call and wait until the servicer's ``finally`` has run."""
        self._finish()
        stream, self._stream = self._stream, None
        if stream is not None:
            await _InContext(self._run_in, stream.aclose())


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

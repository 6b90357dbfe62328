"""Server interceptors, written once and fitted to every shape of RPC.

grpcio has a protocol of its own for each transport feature and none for the
in-process channel; so handlers are wrapped when they are registered, and both
transports serve the wrapped ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import structlog
from grpc_status import rpc_status

from penstock_common import errors
from penstock_common.rpc.scope import Metadata
from penstock_common.status import status_from_error

_log = structlog.get_logger(__name__)

_FAILED = "servicer_failed"
# What generated code sets for a method that a servicer lacks; a socket's context gives the number back.
_UNIMPLEMENTED = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNIMPLEMENTED.value[0])


@dataclass(slots=True)
class ServerCall:
    """What an interceptor sees of a call: ``method`` is ``/package.Service/Method``.

    ``started`` is on the clock of ``time.perf_counter``.
    """

    method: str
    metadata: Metadata
    context: grpc.aio.ServicerContext[Any, Any]
    started: float = field(default_factory=time.perf_counter)


class ServerInterceptor(Protocol):
    """Sees every call begin and end, in the order of registration and its reverse."""

    async def on_start(self, call: ServerCall) -> None:
        """Let the call in, or refuse it by raising a domain error."""
        ...

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """See how the call ended: no error, a domain error, a cancellation or a defect."""
        ...


class RpcRegistrar:
    """Stands where generated code expects a server, and passes wrapped handlers on.

    ``add_XServicer_to_server(servicer, registrar)`` registers a service.
    """

    def __init__(self, interceptors: Sequence[ServerInterceptor], sink: Callable[[str, dict[str, Any]], None]) -> None:
        self._interceptors = tuple(interceptors)
        self._sink = sink
        self.services: list[str] = []

    def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Any]) -> None:
        """Wrap and register one service's handlers."""
        self.services.append(service_name)
        self._sink(
            service_name,
            {
                name: wrap_handler(handler, f"/{service_name}/{name}", self._interceptors)
                for name, handler in method_handlers.items()
            },
        )

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Any) -> None:
        """Ignore the second registration that generated code makes of the same handlers."""


@dataclass(slots=True)
class WrappedHandler(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """A handler whose behaviour passes through the interceptors."""

    request_streaming: bool
    response_streaming: bool
    request_deserializer: Any
    response_serializer: Any
    unary_unary: Any = None
    unary_stream: Any = None
    stream_unary: Any = None
    stream_stream: Any = None


def wrap_handler(handler: Any, method: str, interceptors: Sequence[ServerInterceptor]) -> WrappedHandler:
    """Return the handler with the interceptors around it, for any of the four RPC shapes."""
    shape = ("stream_" if handler.request_streaming else "unary_") + (
        "stream" if handler.response_streaming else "unary"
    )
    behaviour = getattr(handler, shape)
    wrap = _around_stream if handler.response_streaming else _around_unary
    return WrappedHandler(
        request_streaming=bool(handler.request_streaming),
        response_streaming=bool(handler.response_streaming),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
        **{shape: wrap(behaviour, method, tuple(interceptors))},
    )


def _around_unary(behaviour: Any, method: str, interceptors: tuple[ServerInterceptor, ...]) -> Any:
    async def intercepted(request: Any, context: Any) -> Any:
        call = ServerCall(method, context.invocation_metadata() or (), context)
        entered: list[ServerInterceptor] = []
        try:
            for interceptor in interceptors:
                entered.append(interceptor)
                await interceptor.on_start(call)
            response = await behaviour(request, context)
        except BaseException as error:
            await _fail(entered, call, error)
            raise
        _end(entered, call, None)
        return response

    return intercepted


def _around_stream(behaviour: Any, method: str, interceptors: tuple[ServerInterceptor, ...]) -> Any:
    async def intercepted(request: Any, context: Any) -> AsyncIterator[Any]:
        call = ServerCall(method, context.invocation_metadata() or (), context)
        entered: list[ServerInterceptor] = []
        stream: Any = None
        try:
            for interceptor in interceptors:
                entered.append(interceptor)
                await interceptor.on_start(call)
            stream = behaviour(request, context)
            async for response in stream:
                yield response
        except GeneratorExit as left:
            _end(entered, call, await _close(call, stream) or left)
            raise
        except BaseException as error:
            await _fail(entered, call, error)
            raise
        _end(entered, call, None)

    return intercepted


async def _close(call: ServerCall, stream: Any) -> Exception | None:
    """End a stream that its reader has left; return what went wrong in the servicer's ``finally``, logged."""
    try:
        await stream.aclose()
    except Exception as defect:  # noqa: BLE001 - nobody is left to tell
        _log.error(_FAILED, method=call.method, exc_info=defect)
        return defect
    return None


async def _fail(entered: list[ServerInterceptor], call: ServerCall, error: BaseException) -> None:
    """Tell the interceptors, then end the call with the error's status; return where the transport has its own."""
    if isinstance(error, asyncio.CancelledError) and not _is_being_cancelled():
        # A socket's server would send no status at all, and the caller would wait for ever.
        error = _StrayCancellationError("CancelledError, though nobody cancelled the call").with_traceback(
            error.__traceback__
        )
    _end(entered, call, error)
    if not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
        return
    context: Any = call.context
    if isinstance(error, NotImplementedError) and context.code() in _UNIMPLEMENTED:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, context.details())
    if not isinstance(error, errors.PenstockError):
        _log.error(_FAILED, method=call.method, exc_info=error)
        error = errors.InternalError()
    status = rpc_status.to_status(status_from_error(error))
    # abort() replaces trailing metadata that was set before; keep both.
    trailing = (*(context.trailing_metadata() or ()), *status.trailing_metadata)
    await context.abort(status.code, status.details, trailing)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _end(entered: list[ServerInterceptor], call: ServerCall, error: BaseException | None) -> None:
    for interceptor in reversed(entered):
        try:
            interceptor.on_end(call, error)
        except Exception as defect:  # noqa: BLE001 - it watches; the call's outcome stands
            _log.error("interceptor_failed", method=call.method, exc_info=defect)


class _StrayCancellationError(Exception):
    """A servicer let through the cancellation of something of its own."""

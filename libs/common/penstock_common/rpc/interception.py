"""Server interceptors, written once and fitted to every shape of RPC.

grpcio has a protocol of its own for each transport feature and none for the
in-process channel; so handlers are wrapped when they are registered, and both
transports serve the wrapped ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from grpc_status import rpc_status

from penstock_common import errors
from penstock_common.rpc.scope import Metadata
from penstock_common.status import status_from_error


@dataclass(slots=True)
class ServerCall:
    """What an interceptor sees of a call: ``method`` is ``/package.Service/Method``."""

    method: str
    metadata: Metadata
    context: grpc.aio.ServicerContext[Any, Any]


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
            _end(entered, call, error)
            await _abort(context, error)
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
        except BaseException as error:
            if stream is not None:
                await stream.aclose()
            _end(entered, call, error)
            await _abort(context, error)
            raise
        _end(entered, call, None)

    return intercepted


def _end(entered: list[ServerInterceptor], call: ServerCall, error: BaseException | None) -> None:
    for interceptor in reversed(entered):
        interceptor.on_end(call, error)


async def _abort(context: Any, error: BaseException) -> None:
    """End the call with the status of ``error``; return where the transport must see it itself."""
    if not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
        return
    known = error if isinstance(error, errors.PenstockError) else errors.InternalError()
    status = rpc_status.to_status(status_from_error(known))
    # abort() replaces trailing metadata that was set before; keep both.
    trailing = (*(context.trailing_metadata() or ()), *status.trailing_metadata)
    await context.abort(status.code, status.details, trailing)

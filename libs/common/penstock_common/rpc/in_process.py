"""A channel whose other end is in the same process.

It has the interface of ``grpc.aio.Channel`` for unary-unary and unary-stream
calls, which are all that the internal contract uses: generated stubs call
servicers directly, with deadlines, metadata, cancellation, status details and
size limits, and without serialising anything. Therefore a message is frozen
once it is passed.

A servicer runs in the caller's task, in a copy of the caller's context: no
task is made per call, and cancelling the caller cancels the servicer. The one
thing that a socket does and this does not: here a servicer begins when its
call is first awaited or read, not when the call is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock_common.rpc.in_process_call import StreamCall, UnaryCall
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

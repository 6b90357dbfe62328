"""A service behind either transport, so that one contract test runs over both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from penstock_common.rpc.channel import SuiteChannel, open_channel
from penstock_common.rpc.in_process import InProcessChannel, InProcessServer
from penstock_common.rpc.server import listening
from penstock_common.rpc.server_interceptors import FinalFailures, IncomingScope
from penstock_common.service import Service

IN_PROCESS = "in_process"
SOCKET = "socket"
TRANSPORTS = (IN_PROCESS, SOCKET)


@asynccontextmanager
async def channel_to(service: Service, transport: str) -> AsyncGenerator[SuiteChannel, None]:
    """Yield a channel to ``service`` over ``in_process`` or ``socket``."""
    if transport == IN_PROCESS:
        server = InProcessServer()
        service.register(server.registrar)
        yield SuiteChannel(FrozenMessages(InProcessChannel(server)))
        return
    async with listening("127.0.0.1:0", [service], [FinalFailures(), IncomingScope()]) as listener:
        await listener.set_serving(serving=True)
        async with open_channel(f"127.0.0.1:{listener.port}") as channel:
            yield SuiteChannel(channel)


class MessageChangedError(AssertionError):
    """A service or its caller changed a message after passing it."""


class FrozenMessages:
    """Fails where a message is changed after it was passed: a socket would hide what shared memory shows."""

    def __init__(self, channel: InProcessChannel) -> None:
        self._channel = channel

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return the multi-callable that a generated stub asks for."""
        call = self._channel.unary_unary(method, *args, **kwargs)

        def watched(request: Any, **options: Any) -> _WatchedUnary:
            return _WatchedUnary(call(request, **options), request)

        return watched

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return the multi-callable that a generated stub asks for."""
        call = self._channel.unary_stream(method, *args, **kwargs)

        def watched(request: Any, **options: Any) -> _WatchedStream:
            return _WatchedStream(call(request, **options), request)

        return watched


class _Watched:
    def __init__(self, call: Any, request: Any) -> None:
        self._call = call
        self._request = request
        self._before = request.SerializeToString(deterministic=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def _check(self) -> None:
        if self._request.SerializeToString(deterministic=True) != self._before:
            raise MessageChangedError(f"{type(self._request).__name__} was changed while it was passed")


class _WatchedUnary(_Watched):
    def __await__(self) -> Any:
        response = yield from self._call.__await__()
        self._check()
        return response


class _WatchedStream(_Watched):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self._responses()

    async def _responses(self) -> AsyncIterator[Any]:
        passed: list[tuple[Any, bytes]] = []
        async for response in self._call:
            passed.append((response, response.SerializeToString(deterministic=True)))
            yield response
        self._check()
        for response, before in passed:
            if response.SerializeToString(deterministic=True) != before:
                raise MessageChangedError(f"{type(response).__name__} was changed after it was passed")

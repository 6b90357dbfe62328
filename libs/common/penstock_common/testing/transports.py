"""A service behind either transport, so that one contract test runs over both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.client import Channel, ResponseStream
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.rpc.method import Codec, DuplexMethod, StreamMethod, UnaryMethod
from penstock_common.rpc.server import listening
from penstock_common.rpc.server_interceptors import FinalFailures, IncomingScope
from penstock_common.service import Service
from penstock_common.telemetry.steps import Step

IN_PROCESS = "in_process"
SOCKET = "socket"
TRANSPORTS = (IN_PROCESS, SOCKET)


@asynccontextmanager
async def channel_to(service: Service, transport: str) -> AsyncGenerator[Channel, None]:
    """Yield a channel to ``service`` over ``in_process`` or ``socket``."""
    if transport == IN_PROCESS:
        yield CheckedChannel(InProcessChannel(service.handlers))
        return
    async with listening("127.0.0.1:0", [service], [FinalFailures(), IncomingScope()]) as listener:
        await listener.set_serving(serving=True)
        async with open_channel(f"127.0.0.1:{listener.port}") as channel:
            yield SocketChannel(channel)


class ValueLostError(AssertionError):
    """A codec does not bring back what it wrote."""


class ValueChangedError(AssertionError):
    """A service or its caller changed a value after passing it."""


class CheckedChannel:
    """Implements ``Channel`` by another, and fails where shared memory shows what a socket would hide.

    Every value that passes must come back from its codec as it was, and nobody may
    change one after passing it on.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def call(
        self,
        method: UnaryMethod[Any, Any],
        request: Any,
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> Any:
        """Return the response."""
        asked = _Passed(method.request, request)
        response = await self._channel.call(method, request, timeout=timeout, steps=steps)
        asked.check()
        _Passed(method.response, response)
        return response

    def stream(
        self,
        method: StreamMethod[Any, Any],
        request: Any,
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[Any]:
        """Return the responses."""
        asked = _Passed(method.request, request)
        responses = self._channel.stream(method, request, timeout=timeout, steps=steps)
        return _CheckedResponses(responses, method.response, [asked])

    def exchange(
        self,
        method: DuplexMethod[Any, Any],
        requests: AsyncIterator[Any],
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[Any]:
        """Return the responses."""
        asked: list[_Passed] = []
        checked = _checked(requests, method.request, asked)
        responses = self._channel.exchange(method, checked, timeout=timeout, steps=steps)
        return _CheckedResponses(responses, method.response, asked)


async def _checked(requests: AsyncIterator[Any], codec: Codec[Any], passed: list[_Passed]) -> AsyncGenerator[Any]:
    async for request in requests:
        passed.append(_Passed(codec, request))
        yield request


class _CheckedResponses:
    def __init__(self, responses: ResponseStream[Any], codec: Codec[Any], asked: list[_Passed]) -> None:
        self._responses = responses
        self._iterator = aiter(responses)
        self._codec = codec
        self._passed = asked

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            response = await anext(self._iterator)
        except StopAsyncIteration:
            self._check()
            raise
        self._passed.append(_Passed(self._codec, response))
        return response

    async def aclose(self) -> None:
        """End the call."""
        await self._responses.aclose()
        self._check()

    def _check(self) -> None:
        for passed in self._passed:
            passed.check()


class _Passed:
    """A value, and how it looked when it was passed on."""

    def __init__(self, codec: Codec[Any], value: Any) -> None:
        self._codec = codec
        self._value = value
        self._before = codec.encode(value)
        again = codec.decode(self._before)
        if not alike(again, value):
            raise ValueLostError(f"{value!r} came back as {again!r}")

    def check(self) -> None:
        """Fail if the value looks otherwise now."""
        if self._codec.encode(self._value) != self._before:
            raise ValueChangedError(f"{self._value!r} was changed after it was passed on")


def alike(left: Any, right: Any) -> bool:
    """Return whether two values have the same content; which kind of sequence holds it does not count."""
    if type(left) is type(right) and left == right:
        return True
    if isinstance(left, msgspec.Struct):
        names = left.__struct_fields__
        return type(left) is type(right) and all(alike(getattr(left, name), getattr(right, name)) for name in names)
    if isinstance(left, Sequence) and not isinstance(left, str | bytes):
        return len(left) == len(right) and all(map(alike, left, right))
    return bool(left == right)

"""A channel whose certificates are renewed while it is used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import grpc

from penstock_common.certificates import Certificates, Renewal
from penstock_common.rpc.channel import ClientInterceptor, SocketChannel, open_channel
from penstock_common.rpc.client import Channel, ResponseStream
from penstock_common.rpc.method import DuplexMethod, StreamMethod, UnaryMethod
from penstock_common.rpc.security import channel_credentials
from penstock_common.telemetry.steps import Step

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

LOOK_AFTER_SECONDS = 10.0
"""What lies between two looks at the files, at least."""


@asynccontextmanager
async def renewing_channel(
    target: str, held: Certificates, grace: timedelta, interceptors: Sequence[ClientInterceptor] = ()
) -> AsyncGenerator[Channel]:
    """Yield a channel to the role at a target; calls on certificates of before have ``grace`` to end."""

    def opened(certificates: Certificates) -> tuple[grpc.aio.Channel, SocketChannel]:
        channel = open_channel(target, channel_credentials(certificates))
        return channel, SocketChannel(channel, interceptors)

    channel = RenewingChannel(opened, held, grace)
    try:
        yield channel
    finally:
        await channel.aclose()


class RenewingChannel:
    """Implements ``client.Channel``: a gRPC channel of today's certificates, and those of before until they end.

    gRPC for Python keeps what a channel was opened with, so another is opened. It is looked for when somebody calls:
    who is not called needs no certificate.
    """

    def __init__(
        self,
        open_with: Callable[[Certificates], tuple[grpc.aio.Channel, SocketChannel]],
        held: Certificates,
        grace: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_with = open_with
        self._renewal = Renewal(held)
        self._grace_seconds = grace.total_seconds()
        self._monotonic = monotonic
        self._look_at = 0.0
        self._channel, self._current = open_with(held)
        self._retiring: set[asyncio.Task[None]] = set()

    async def call(
        self,
        method: UnaryMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - an RPC's, which travels
        steps: list[Step] | None = None,
    ) -> ResponseT:
        """Return the response."""
        return await self._todays().call(method, request, timeout=timeout, steps=steps)

    def stream(
        self,
        method: StreamMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses."""
        return self._todays().stream(method, request, timeout=timeout, steps=steps)

    def exchange(
        self,
        method: DuplexMethod[RequestT, ResponseT],
        requests: AsyncIterator[RequestT],
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses."""
        return self._todays().exchange(method, requests, timeout=timeout, steps=steps)

    async def aclose(self) -> None:
        """Close every channel, and cut the calls on it."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._channel.close()

    def _todays(self) -> SocketChannel:
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_AFTER_SECONDS
            renewed = self._renewal.look()
            if renewed is not None:
                self._retire(self._channel)
                self._channel, self._current = self._open_with(renewed)
        return self._current

    def _retire(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(_closed_after(channel, self._grace_seconds))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def _closed_after(channel: grpc.aio.Channel, seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    finally:
        await channel.close()

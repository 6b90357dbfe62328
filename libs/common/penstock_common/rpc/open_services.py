"""What a listener serves to everybody, key or not: health and reflection.

grpcio's own servicers decode whatever comes, and answer garbage with UNKNOWN and
the name of a Python class. Here a request is small, and there are so many calls
at once and no more, of one address so many.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from penstock_common.errors import DeadlineExceeded, InvalidRequest, PenstockError, RateLimited
from penstock_common.rpc.aborting import abort
from penstock_common.rpc.sending import written
from penstock_common.status import status_from_error

HEALTH = "grpc.health.v1.Health"

MAX_CALLS = 4096
MAX_CALLS_OF_AN_ADDRESS = 1024
MAX_REQUEST_BYTES = 64 * 1024
REQUEST_TIMEOUT_SECONDS = 60.0
_SITE_BITS = 64

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

Behaviour = Callable[["OpenCall"], Awaitable[None]]


class Health:
    """Says of each service, by name, whether to send requests here; "" is the whole.

    grpcio's own forgets everybody who watches a service as soon as one of them leaves.
    """

    def __init__(self) -> None:
        self._status: dict[str, Any] = {}
        self._changed = asyncio.Event()

    def set(self, name: str, *, is_serving: bool) -> None:
        """Say so to all who ask, and to all who watch."""
        self._status[name] = _SERVING if is_serving else _NOT_SERVING
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def check(self, call: OpenCall) -> None:
        """Answer once."""
        status = self._status.get((await call.only(health_pb2.HealthCheckRequest)).service)
        if status is None:
            await abort(call.context, grpc.StatusCode.NOT_FOUND, "No such service.", ())
        await call.write(health_pb2.HealthCheckResponse(status=status))

    async def watch(self, call: OpenCall) -> None:
        """Answer now and at each change."""
        name = (await call.only(health_pb2.HealthCheckRequest)).service
        told = None
        while True:
            changed, status = self._changed, self._status.get(name, _UNKNOWN)
            if status != told:
                await call.write(health_pb2.HealthCheckResponse(status=status))
                told = status
            await changed.wait()


class OpenCall:
    """A call of somebody unknown."""

    def __init__(self, context: Any) -> None:
        self.context = context

    async def read(self, kind: Any) -> Any:
        """Return the next request, a message of ``kind``; None where there is none."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                message = await self.context.read()
        except TimeoutError:
            raise DeadlineExceeded("The request's message did not arrive in time.") from None
        if not isinstance(message, bytes):
            # grpcio's word for the end.
            return None
        if len(message) > MAX_REQUEST_BYTES:
            raise InvalidRequest(f"The message is larger than {MAX_REQUEST_BYTES} bytes.")
        try:
            return kind.FromString(message)
        except DecodeError:
            raise InvalidRequest(f"The bytes are no {kind.DESCRIPTOR.full_name}.") from None

    async def only(self, kind: Any) -> Any:
        """Return the request that must be there."""
        request = await self.read(kind)
        if request is None:
            raise InvalidRequest("The call brought no message.")
        return request

    async def write(self, response: Any) -> None:
        """Send a response; one that is never read ends with its caller's place, which is one of few."""
        await written(self.context, response.SerializeToString())


class OpenServices:
    """Registers what is open, within bounds that all of it shares."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server
        self._calls = 0
        self._calls_of: Counter[str] = Counter()

    def serve(self, service: str, **behaviours: Behaviour) -> None:
        """Serve the methods of a service, by their names."""
        handlers = {
            name: grpc.stream_stream_rpc_method_handler(self._bounded(behaviour))
            for name, behaviour in behaviours.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))

    def _bounded(self, behaviour: Behaviour) -> Callable[[Any, Any], Awaitable[None]]:
        async def bounded(_: Any, context: Any) -> None:
            try:
                with self._place_of(site_of(context.peer() or "")):
                    await behaviour(OpenCall(context))
            except PenstockError as error:
                status = rpc_status.to_status(status_from_error(error))
                await abort(context, status.code, status.details, tuple(status.trailing_metadata))

        return bounded

    @contextmanager
    def _place_of(self, site: str) -> Generator[None, None, None]:
        if self._calls >= MAX_CALLS or self._calls_of[site] >= MAX_CALLS_OF_AN_ADDRESS:
            raise RateLimited("Too many calls without a key at once. Try again.", limit="open_calls")
        self._calls += 1
        self._calls_of[site] += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._calls_of[site] -= 1
            if not self._calls_of[site]:
                del self._calls_of[site]


def site_of(peer: str) -> str:
    """Return whose place a call takes: an IPv4 address, an IPv6 network of 64 bits, or "" for what has no address."""
    scheme, _, rest = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return ""
    host = unquote(rest.rpartition(":")[0]).strip("[]").partition("%")[0]
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _SITE_BITS), strict=False))


def reflecting(servicer: Any) -> Behaviour:
    """Return how grpcio's servicer of reflection answers."""

    async def reflect(call: OpenCall) -> None:
        async for response in servicer.ServerReflectionInfo(_requests(call), call.context):
            await call.write(response)

    return reflect


async def _requests(call: OpenCall) -> AsyncGenerator[Any, None]:
    while (request := await call.read(reflection_pb2.ServerReflectionRequest)) is not None:
        yield request

"""Calls over a socket: a channel to a service of the suite, and what its failures mean."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import grpc
import structlog

from penstock_common.errors import InternalError, InvalidRequest, PenstockError, ServiceUnavailable
from penstock_common.rpc.client import ResponseStream, deadline_of, deadline_passed
from penstock_common.rpc.grpc_channel import grpc_channel
from penstock_common.rpc.method import END_OF_ANSWER, DuplexMethod, Method, StreamMethod, UnaryMethod
from penstock_common.rpc.scope import CURRENT_SCOPE, Metadata, RequestScope
from penstock_common.status import error_from_rpc
from penstock_common.telemetry.steps import Step, steps_from_metadata

_log = structlog.get_logger(__name__)
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

MAX_MESSAGE_BYTES = 32 * 1024 * 1024

# Steps and error details come back as metadata. grpcio's own limits, 8 KiB soft and 16 KiB hard,
# reject what lies between them by chance.
_MAX_METADATA_BYTES = 64 * 1024
_KEEPALIVE_TIME_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000
# A dead service is told within a second, and one that is back is found within half of one. gRPC's own are 20 and 120 s.
_CONNECT_TIMEOUT_MS = 1_000
_FIRST_RECONNECT_MS = 100
_SLOWEST_RECONNECT_MS = 500
_RESOLVE_AGAIN_MS = 5_000

# What the transport lost before an answer began is asked of another replica (gRFC A6). What a service reports by itself
# is final: its listener says so (server_interceptors.FinalFailures), unless it only had no room (shedding.Shed).
_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.4s",
                    "backoffMultiplier": 2,
                    # A server that stops answers CANCELLED to what it took in and never began.
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    }
)


class ClientInterceptor(Protocol):
    """Adds metadata to every call that goes out over a socket."""

    def outgoing(self, metadata: Metadata) -> Metadata:
        """Return the metadata that the call goes out with."""
        ...


class SocketChannel:
    """Implements ``client.Channel`` over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, interceptors: Sequence[ClientInterceptor] = ()) -> None:
        self._channel = channel
        self._interceptors = tuple(interceptors)
        self._callables: dict[str, Callable[..., Any]] = {}

    async def call(
        self,
        method: UnaryMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - an RPC's, which travels
        steps: list[Step] | None = None,
    ) -> ResponseT:
        """Return the response."""
        scope = CURRENT_SCOPE.get()
        call = self._begin(
            self._channel.unary_unary, method, request, scope, deadline_of(scope, timeout, time.monotonic())
        )
        try:
            message: bytes = await call
            if steps is not None:
                _add_steps(steps, await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            _add_steps(steps, error.trailing_metadata())
            raise translated(error, method.service) from error
        return decoded(method, message)

    def stream(
        self,
        method: StreamMethod[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses."""
        scope = CURRENT_SCOPE.get()
        deadline = deadline_of(scope, timeout, time.monotonic())
        return _Responses(
            method, lambda: self._begin(self._channel.unary_stream, method, request, scope, deadline), steps
        )

    def exchange(
        self,
        method: DuplexMethod[RequestT, ResponseT],
        requests: AsyncIterator[RequestT],
        *,
        timeout: float | None = None,
        steps: list[Step] | None = None,
    ) -> ResponseStream[ResponseT]:
        """Return the responses; the requests are read in a task of their own."""
        scope = CURRENT_SCOPE.get()
        deadline = deadline_of(scope, timeout, time.monotonic())
        return _Exchanged(
            method, lambda: self._begin(self._channel.stream_stream, method, None, scope, deadline), steps, requests
        )

    def _begin(
        self,
        shape: Callable[[str], Callable[..., Any]],
        method: Method[Any, Any],
        request: Any,
        scope: RequestScope,
        deadline: float,
    ) -> Any:
        make = self._callables.get(method.path)
        if make is None:
            # Without serialisers bytes go in and out.
            make = self._callables[method.path] = shape(method.path)
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            # gRPC would send it, and now and then it would be served.
            raise deadline_passed()
        metadata = scope.to_metadata()
        for interceptor in self._interceptors:
            metadata = interceptor.outgoing(metadata)
        messages = () if isinstance(method, DuplexMethod) else (method.request.encode(request),)
        return make(*messages, timeout=seconds, metadata=metadata)


class _Responses(Generic[ResponseT]):
    """Implements ``client.ResponseStream``."""

    def __init__(self, method: Method[Any, ResponseT], begin: Callable[[], Any], steps: list[Step] | None) -> None:
        self._method = method
        self._begin = begin
        self._steps = steps
        self._call: Any = None
        self._ended = False

    def __aiter__(self) -> _Responses[ResponseT]:
        return self

    async def __anext__(self) -> ResponseT:
        if self._ended:
            raise StopAsyncIteration
        if self._call is None:
            self._call = self._begin()
        try:
            message = await self._read()
            if message is not _EOF:
                return decoded(self._method, message)
            self._ended = True
            _add_steps(self._steps, await self._call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            self._ended = True
            _add_steps(self._steps, error.trailing_metadata())
            raise self._failure(error) from error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the call: leaving a loop over a gRPC call does not, and the upstream would generate for nobody."""
        self._ended = True
        if self._call is not None:
            self._call.cancel()

    async def _read(self) -> Any:
        return await self._call.read()

    def _failure(self, error: grpc.aio.AioRpcError) -> PenstockError:
        return translated(error, self._method.service)


class _Sending:
    """Sends the requests of an exchange, in a task of its own."""

    def __init__(self, call: Any, method: Method[Any, Any], requests: AsyncIterator[Any]) -> None:
        self._call = call
        self._encode = method.request.encode
        self._requests = requests
        self._reads = False
        self._is_over = False
        self.failure: Exception | None = None
        """Why the requests could not be read; the call is cancelled for it."""
        self._task = asyncio.get_running_loop().create_task(self._send())

    async def end(self) -> None:
        """Send no more, and say so: return once nothing of it is under way."""
        self._is_over = True
        if self._reads:
            self._task.cancel()
        # What is being written must be: cancelling that cancels the call.
        await asyncio.wait((self._task,))
        with suppress(grpc.aio.InternalError):
            await self._call.done_writing()

    async def aclose(self) -> None:
        """End it, once the call has ended."""
        self._is_over = True
        # Waiting would take a turn of the loop, in which whoever has the whole answer may leave.
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _send(self) -> None:
        try:
            while not self._is_over and (message := await self._next()) is not None:
                await self._call.write(message)
            if not self._is_over:
                await self._call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            # The call has ended; who reads it sees why.
            return

    async def _next(self) -> bytes | None:
        self._reads = True
        try:
            message = self._encode(await anext(self._requests))
        except StopAsyncIteration:
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, who reads the answer sees it
            if not self._is_over:
                self.failure = error
                self._is_over = True
                self._call.cancel()
            return None
        finally:
            self._reads = False
        return None if self._is_over else message


class _Exchanged(_Responses[ResponseT]):
    """Responses beside requests; what fails reading the requests is what the caller sees."""

    def __init__(
        self,
        method: Method[Any, ResponseT],
        begin: Callable[[], Any],
        steps: list[Step] | None,
        requests: AsyncIterator[Any],
    ) -> None:
        super().__init__(method, begin, steps)
        self._requests = requests
        self._sending: _Sending | None = None

    async def __anext__(self) -> ResponseT:
        try:
            return await super().__anext__()
        except (PenstockError, asyncio.CancelledError):
            failure = self._take_failure()
            if failure is None:
                raise
            # grpcio cancels the call, and with it whoever reads it.
            raise failure from None
        finally:
            if self._ended and self._sending is not None:
                await self._sending.aclose()

    async def aclose(self) -> None:
        """End the call, and what reads the requests."""
        await super().aclose()
        if self._sending is not None:
            await self._sending.aclose()

    async def _read(self) -> Any:
        if self._sending is None:
            self._sending = _Sending(self._call, self._method, self._requests)
        message = await self._call.read()
        while message == END_OF_ANSWER:
            await self._sending.end()
            message = await self._call.read()
        return message

    def _failure(self, error: grpc.aio.AioRpcError) -> PenstockError:
        is_of_sending = error.code() is grpc.StatusCode.INTERNAL and not error.trailing_metadata()
        if is_of_sending and not self._call.time_remaining():
            # A request was being sent when the time ran out: grpcio tells of that one alone.
            return deadline_passed()
        return super()._failure(error)

    def _take_failure(self) -> Exception | None:
        if self._sending is None:
            return None
        failure, self._sending.failure = self._sending.failure, None
        return failure


def decoded(method: Method[Any, ResponseT], message: bytes) -> ResponseT:
    """Return the response that a service has sent.

    Raises:
        InternalError: if this version cannot read it; the reason is logged.
    """
    try:
        return method.response.decode(message)
    except (InvalidRequest, ValueError) as error:
        _log.error("response_not_understood", method=method.path, reason=str(error))
        raise InternalError from error


def _add_steps(steps: list[Step] | None, metadata: Any) -> None:
    if steps is not None:
        steps += steps_from_metadata(metadata)


def open_channel(
    target: str, credentials: grpc.ChannelCredentials | None = None, *, server_name: str = ""
) -> grpc.aio.Channel:
    """Return a channel to a service of the suite: ``host:port``, ``dns:///…``, ``ipv4:…`` or ``unix:…``.

    Calls take turns between all addresses of the target. Without credentials it is plaintext.
    ``server_name`` is the name in the server's certificate, where it is not the target's.
    """
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", _KEEPALIVE_TIME_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.min_reconnect_backoff_ms", _CONNECT_TIMEOUT_MS),
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _SLOWEST_RECONNECT_MS),
        ("grpc.dns_min_time_between_resolutions_ms", _RESOLVE_AGAIN_MS),
        ("grpc.service_config", _SERVICE_CONFIG),
        # By default gRPC repeats no call above 256 KiB, and a question with a picture is larger.
        ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),
    ]
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    return grpc_channel(target, options, credentials)


def translated(error: grpc.aio.AioRpcError, service: str) -> PenstockError:
    """Return the domain error of a failed call to ``service``.

    A status without our details comes from the transport: the deadline, or a
    service that cannot be reached.
    """
    known = error_from_rpc(error)
    if known is not None:
        return known
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return deadline_passed()
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return InvalidRequest(f"The request, or its answer, is too large for the {service} service.", field="input")
    _log.warning("service_unavailable", service=service, code=error.code().name, details=error.details())
    return ServiceUnavailable(f"The {service} service does not answer. Try again.", service=service)

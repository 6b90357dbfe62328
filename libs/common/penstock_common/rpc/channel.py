"""The client side of a call between services: one interface over both transports.

Every call carries the request's scope as metadata and never outlives the
request's deadline.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import grpc
import structlog

from penstock_common.errors import DeadlineExceeded, InvalidRequest, PenstockError, ServiceUnavailable
from penstock_common.rpc.in_process import MAX_MESSAGE_BYTES
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.status import error_from_rpc

_log = structlog.get_logger(__name__)

# What a hop keeps for itself, so that the callee's deadline error arrives before our own.
DEADLINE_MARGIN_SECONDS = 0.020
DEFAULT_TIMEOUT = timedelta(seconds=60)

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
# is final: its listener says so (server_interceptors.FinalFailures).
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


class Transport(Protocol):
    """The part of ``grpc.aio.Channel`` that stubs and this module use."""

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return a multi-callable."""
        ...

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return a multi-callable."""
        ...


class ClientInterceptor(Protocol):
    """Shapes every outgoing call, whichever transport takes it."""

    def outgoing(self, method: str, options: CallOptions) -> CallOptions:
        """Return the options the call goes out with."""
        ...


@dataclass(frozen=True, slots=True)
class CallOptions:
    """``timeout`` in seconds, None for none; ``metadata`` as pairs."""

    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...]


class ScopeInterceptor:
    """Adds the current request's identity and cuts the timeout to its deadline."""

    def __init__(self, default_timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        self._default_seconds = default_timeout.total_seconds()

    def outgoing(self, method: str, options: CallOptions) -> CallOptions:
        """Return the options with identity and remaining time."""
        scope = CURRENT_SCOPE.get()
        return CallOptions(self._timeout(options.timeout, scope), (*options.metadata, *scope.to_metadata()))

    def _timeout(self, wanted: float | None, scope: RequestScope) -> float:
        if scope.deadline is None:
            return self._default_seconds if wanted is None else wanted
        # Below zero where no time is left: grpcio still sends a call with a timeout of 0.
        remaining = scope.deadline - time.monotonic() - DEADLINE_MARGIN_SECONDS
        return remaining if wanted is None else min(wanted, remaining)


class SuiteChannel:
    """A transport with our client interceptors around its calls; give it to a generated stub."""

    def __init__(
        self, transport: Transport, interceptors: tuple[ClientInterceptor, ...] = (ScopeInterceptor(),)
    ) -> None:
        self._transport = transport
        self._interceptors = interceptors

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return the multi-callable that a generated stub asks for."""
        return self._intercepted(method, self._transport.unary_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return the multi-callable that a generated stub asks for."""
        return self._intercepted(method, self._transport.unary_stream(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Refuse: no internal contract streams requests."""
        raise NotImplementedError(method)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Refuse: no internal contract streams requests."""
        raise NotImplementedError(method)

    def _intercepted(self, method: str, multicallable: Callable[..., Any]) -> Callable[..., Any]:
        interceptors = self._interceptors

        def call(request: Any, *, timeout: float | None = None, metadata: Any = (), **kwargs: Any) -> Any:
            options = CallOptions(timeout, tuple(metadata or ()))
            for interceptor in interceptors:
                options = interceptor.outgoing(method, options)
            return multicallable(request, timeout=options.timeout, metadata=options.metadata, **kwargs)

        return call


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
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, credentials, options=options)


def translated(error: grpc.aio.AioRpcError, service: str) -> PenstockError:
    """Return the domain error of a failed call to ``service``.

    A status without our details comes from the transport: the deadline, or a
    service that cannot be reached.
    """
    known = error_from_rpc(error)
    if known is not None:
        return known
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("The request's deadline passed.")
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return InvalidRequest(f"The request, or its answer, is too large for the {service} service.", field="input")
    _log.warning("service_unavailable", service=service, code=error.code().name, details=error.details())
    return ServiceUnavailable(f"The {service} service does not answer. Try again.", service=service)

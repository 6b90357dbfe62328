"""A gRPC server on a socket, set up the way every listener of the suite is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc

from penstock_common.rpc.channel import MAX_MESSAGE_BYTES
from penstock_common.rpc.interception import Around, ServerInterceptor, served_by_grpc
from penstock_common.rpc.open_services import HEALTH, Health, OpenServices
from penstock_common.rpc.reading import MessageReader, ReadingLimits
from penstock_common.rpc.reflection import serve_reflection
from penstock_common.rpc.sending import Sendings
from penstock_common.rpc.unread import UnreadAnswers, UnreadLimits
from penstock_common.service import Service

MAX_METADATA_BYTES = 16 * 1024
# gRPC counts in 32 bits, which are over after 24 days, and takes the largest number for ever.
_FOR_EVER_MILLISECONDS = 2**31 - 1
# As long as the longest call may last.
_LONGEST_WAIT_FOR_THE_LOOP_SECONDS = 600
_LAST_RESPONSES = timedelta(seconds=1)


class ListenError(Exception):
    """An address cannot be listened on; the message says which."""


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """What callers can make a listener hold. None means any number, and a connection that is kept for good."""

    max_request_bytes: int = MAX_MESSAGE_BYTES
    max_response_bytes: int = MAX_MESSAGE_BYTES
    reading: ReadingLimits = field(default_factory=ReadingLimits)
    unread: UnreadLimits = field(default_factory=UnreadLimits)
    write_timeout: timedelta = timedelta(seconds=60)
    """How long a response of a stream waits for a caller who does not read; then the call ends."""
    max_streams: int | None = None
    """Calls at once on one connection; further ones wait at the caller."""
    max_connections: int | None = None
    """Connections at once; further ones are closed."""
    max_connection_idle: timedelta | None = None
    """Time after which a connection without a call is closed."""
    max_connection_age: timedelta | None = None
    max_connection_age_grace: timedelta = timedelta(minutes=10)
    """What its last calls have to end after that."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where and how to listen."""

    credentials: grpc.ServerCredentials | None = None
    """None for plaintext."""
    shares_port: bool = False
    """Whether others of the same user may listen on the address too; connections are spread over all (SO_REUSEPORT)."""
    own_address: str = ""
    """Where this process alone listens as well, in plaintext, such as ``unix:/path``."""
    reflection: bool = True
    limits: GrpcLimits = field(default_factory=GrpcLimits)


class GrpcListener:
    """A running server: its port, its health, its end."""

    def __init__(self, server: grpc.aio.Server, health: Health, names: Sequence[str], port: int) -> None:
        self._server = server
        self._health = health
        self._names = names
        self.port = port

    async def set_serving(self, *, serving: bool) -> None:
        """Say over ``grpc.health.v1``, for the whole and each service, whether to send requests here."""
        for name in ("", *self._names):
            self._health.set(name, is_serving=serving)

    async def stop(self, grace: timedelta) -> None:
        """Refuse new calls, give running ones ``grace``, then cancel them."""
        await self._server.stop(grace.total_seconds())


@asynccontextmanager
async def listening(
    address: str,
    services: Sequence[Service],
    interceptors: Sequence[ServerInterceptor],
    options: ServerOptions | None = None,
) -> AsyncGenerator[GrpcListener, None]:
    """Yield a server on ``address`` (``host:port`` or ``unix:/path``), stopped on exit.

    Health starts as NOT_SERVING. Reflection lists the given services and health only.

    Raises:
        ListenError: if the address is taken or not ours.
    """
    options = options or ServerOptions()
    server = grpc.aio.server(options=_arguments(options))
    limits = options.limits
    around = Around(
        tuple(interceptors),
        MessageReader(limits.reading),
        UnreadAnswers(limits.unread),
        Sendings(limits.write_timeout.total_seconds()),
    )
    names = _register(server, services, around)
    health = Health()
    OpenServices(server).serve(HEALTH, Check=health.check, Watch=health.watch)
    if options.reflection:
        serve_reflection(server, (*names, HEALTH))
    try:
        port = _bind(server, address, options.credentials)
        if options.own_address:
            _bind(server, options.own_address, None)
    except RuntimeError:
        raise ListenError(f"cannot listen on {address}: it is taken, or not an address of this machine") from None
    listener = GrpcListener(server, health, names, port)
    await listener.set_serving(serving=False)
    await server.start()
    try:
        yield listener
    finally:
        # A call that has ended may have its last bytes still to send.
        await server.stop(_LAST_RESPONSES.total_seconds())


def _register(server: grpc.aio.Server, services: Sequence[Service], around: Around) -> list[str]:
    """Register every handler; return the names of the contract's services."""
    methods: dict[str, dict[str, Any]] = {}
    for service in services:
        for handler in service.handlers:
            _, name, method = handler.method.path.split("/")
            methods.setdefault(name, {})[method] = served_by_grpc(handler, around)
    for name, handlers in methods.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    return list(methods)


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    if credentials is None:
        return server.add_insecure_port(address)
    return server.add_secure_port(address, credentials)


def _arguments(options: ServerOptions) -> list[tuple[str, int]]:
    limits = options.limits
    arguments = {
        "grpc.so_reuseport": int(options.shares_port),
        "grpc.max_receive_message_length": limits.max_request_bytes,
        "grpc.max_send_message_length": limits.max_response_bytes,
        # Between soft and hard limit metadata is rejected by chance; make them one.
        "grpc.max_metadata_size": MAX_METADATA_BYTES,
        "grpc.absolute_max_metadata_size": MAX_METADATA_BYTES,
        # The default drops bursts with CANCELLED; we refuse by ourselves, with a proper status.
        "grpc.server.max_pending_requests": 20_000,
        "grpc.server.max_pending_requests_hard_limit": 40_000,
        # What waits for the loop longer than 30 s is cancelled by default, without a word; its deadline ends it here.
        "grpc.server_max_unrequested_time_in_server": _LONGEST_WAIT_FOR_THE_LOOP_SECONDS,
        # A client may ping while a stream waits for its first token.
        "grpc.http2.min_ping_interval_without_data_ms": 20_000,
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 10_000,
        # What is not read must not pile up: a window that grows by itself would let each stranger send megabytes ahead.
        "grpc.http2.bdp_probe": 0,
        # A connection that is not made in this time is given up; gRPC's own two minutes are a place to hide.
        "grpc.server_handshake_timeout_ms": 10_000,
        "grpc.max_concurrent_streams": limits.max_streams,
        "grpc.max_allowed_incoming_connections": limits.max_connections,
        "grpc.max_connection_idle_ms": _milliseconds(limits.max_connection_idle),
        "grpc.max_connection_age_ms": _milliseconds(limits.max_connection_age),
        "grpc.max_connection_age_grace_ms": _milliseconds(limits.max_connection_age_grace),
    }
    return [(name, value) for name, value in arguments.items() if value is not None]


def _milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else min(int(duration.total_seconds() * 1000), _FOR_EVER_MILLISECONDS)

"""`penstock serve`: one role, what it listens on, and how it ends, from its first line of log to its last call."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry

from penstock_common.configuration import Configuration
from penstock_common.logging import configure_logging
from penstock_common.peers import Guestlist
from penstock_common.rpc.interception import ServerInterceptor
from penstock_common.rpc.security import PeerGuard, Security, TokenGuard
from penstock_common.rpc.server import GrpcLimits, GrpcListener, ListenError, ServerOptions, listening
from penstock_common.rpc.server_interceptors import CallTelemetry, FinalFailures, IncomingScope
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_suite.adapters.operating_system import on_signals, raise_file_limit, settle_memory
from penstock_suite.app.check import checked_role
from penstock_suite.app.wiring import Wiring, by_their_addresses, public_credentials
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Draining, Serving, Show, Stopped
from penstock_suite.domain.requests import Role, ServeRequest
from penstock_suite.settings import RoleSettings

if TYPE_CHECKING:
    from penstock_gateway.app.gateway import RunningGateway


class RunningRole(Protocol):
    """A role that listens."""

    async def set_ready(self) -> None:
        """Say that this process accepts work."""
        ...

    async def drain(self, grace: timedelta) -> None:
        """Refuse arrivals, and wait until the rest have ended or ``grace`` is over."""
        ...


Opening = Callable[[], AbstractAsyncContextManager[RunningRole]]


async def serve(request: ServeRequest, show: Show, began: float) -> None:
    """Run the role until a signal asks for its end; ``began`` is when the command did, on ``time.monotonic``.

    Raises:
        ConfigurationError, Misconfigured: if its sections of the configuration cannot be used.
        SuiteFailure: if it cannot listen.
    """
    configuration = checked_role(request.role, request.config)

    def serving() -> Serving:
        listen = listen_of(request.role, configuration.settings(RoleSettings))
        return Serving(request.role, listen, round(time.monotonic() - began, 3))

    await run_role(lambda: open_role(request.role, configuration), serving, request.grace, show)


async def run_role(opening: Opening, serving: Callable[[], Serving], grace: timedelta, show: Show) -> None:
    """Open a role and run it until a signal asks for its end; calls in flight then have ``grace``.

    Raises:
        SuiteFailure: if it cannot listen.
    """
    raise_file_limit()
    configure_logging()
    ending = Ending()
    with on_signals(ending.ask):
        try:
            await _run(opening, serving, grace, ending, show)
        except ListenError as error:
            raise SuiteFailure(str(error)) from None
    show(Stopped(at_once=ending.at_once))


async def _run(opening: Opening, serving: Callable[[], Serving], grace: timedelta, ending: Ending, show: Show) -> None:
    async with AsyncExitStack() as stack:
        role: RunningRole | None = None
        with ending.interrupts():
            role = await stack.enter_async_context(opening())
            settle_memory()
            await role.set_ready()
            show(serving())
            await ending.wait()
        if role is None:
            return
        show(Draining(grace.total_seconds()))
        with ending.cuts():
            await role.drain(grace)


def listen_of(role: Role, settings: RoleSettings) -> str:
    """Return where the role answers gRPC."""
    return settings.listen.grpc if role is Role.GATEWAY else settings.services.listen_of(role)


def open_role(role: Role, configuration: Configuration) -> AbstractAsyncContextManager[RunningRole]:
    """Return the context of a running role; only its own sections of the configuration are resolved.

    Raises:
        ConfigurationError: if they cannot be used.
        ListenError: if an address is taken or not ours.
    """
    settings = configuration.settings(RoleSettings)
    security = Security.of(settings.services, settings.secrets)
    if role is Role.GATEWAY:
        return _gateway(configuration, settings, security)
    return _internal(role, configuration, settings, security)


class _InternalRole:
    """Implements ``RunningRole`` for a service behind the gateway."""

    def __init__(self, listener: GrpcListener) -> None:
        self._listener = listener

    async def set_ready(self) -> None:
        await self._listener.set_serving(serving=True)

    async def drain(self, grace: timedelta) -> None:
        # Connections get a GOAWAY, so callers turn to another replica while running calls end here.
        await self._listener.set_serving(serving=False)
        await self._listener.stop(grace)


class _Gateway:
    """Implements ``RunningRole`` for the gateway, which may have others beside it."""

    def __init__(self, gateway: RunningGateway, notice: timedelta) -> None:
        self._gateway = gateway
        self._notice = notice

    async def set_ready(self) -> None:
        await self._gateway.set_ready()

    async def drain(self, grace: timedelta) -> None:
        await self._gateway.drain(grace, self._notice)


@asynccontextmanager
async def _internal(
    role: Role, configuration: Configuration, settings: RoleSettings, security: Security
) -> AsyncGenerator[RunningRole]:
    address = settings.services.listen_of(role)
    security.refuse_open_bind(address, f"services.{role}.listen")
    registry = CollectorRegistry()
    interceptors = [FinalFailures(), CallTelemetry(registry), *_guards(role, settings, security), IncomingScope()]
    options = ServerOptions(
        credentials=security.server_credentials(),
        reflection=False,
        limits=GrpcLimits(
            max_connection_age=settings.services.connection_age,
            max_connection_age_grace=settings.services.connection_grace,
        ),
    )
    async with (
        serving_metrics(registry, settings.telemetry.metrics_listen),
        AsyncExitStack() as stack,
    ):
        service = await Wiring(configuration, by_their_addresses(settings, security), stack).service(role)
        listener = await stack.enter_async_context(listening(address, [service], interceptors, options))
        for collector in service.collectors:
            registry.register(collector)
        yield _InternalRole(listener)


def _guards(role: Role, settings: RoleSettings, security: Security) -> list[ServerInterceptor]:
    guests = Guestlist(role, settings.services.peers.of(role))
    by_certificate: list[ServerInterceptor] = [PeerGuard(guests)] if security.certificates is not None else []
    return [*by_certificate, *([TokenGuard(security.token)] if security.token else [])]


@asynccontextmanager
async def _gateway(
    configuration: Configuration, settings: RoleSettings, security: Security
) -> AsyncGenerator[RunningRole]:
    from penstock_gateway.app.gateway import Listen

    address = settings.services.listen_of(Role.GATEWAY)
    security.refuse_open_bind(address, "services.gateway.listen")
    listen = Listen(
        grpc=settings.listen.grpc,
        http=address,
        grpc_options=ServerOptions(
            credentials=public_credentials(settings.listen.tls), reflection=settings.listen.reflection
        ),
        http_tls=settings.services.tls,
        http_guests=Guestlist(Role.GATEWAY, settings.services.peers.of(Role.GATEWAY)),
    )
    async with AsyncExitStack() as stack:
        wiring = Wiring(configuration, by_their_addresses(settings, security), stack)
        yield _Gateway(await wiring.gateway(listen), settings.services.drain_notice)

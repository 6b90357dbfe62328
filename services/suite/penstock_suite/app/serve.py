"""`penstock serve`: one role, what it listens on, and how it ends, from its first line of log to its last call."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry

from penstock_common.configuration import Configuration
from penstock_common.logging import configure_logging
from penstock_common.peers import Guestlist
from penstock_common.rpc.interception import ServerInterceptor
from penstock_common.rpc.security import PeerGuard, Security, TokenGuard
from penstock_common.rpc.server import GrpcLimits, GrpcListener, ListenError, ServerOptions, listening
from penstock_common.rpc.server_interceptors import CallTelemetry, FinalFailures, IncomingScope
from penstock_common.rpc.shedding import LoadShedding
from penstock_common.service import Service
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_suite.adapters.loop_lag import watched_loop
from penstock_suite.adapters.operating_system import (
    favour_the_loop,
    on_signals,
    raise_file_limit,
    return_memory,
    settle_memory,
)
from penstock_suite.adapters.probes import answering_probes
from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.app.check import checked_role
from penstock_suite.app.reloading import Reloads
from penstock_suite.app.role_reload import Reloading, RoleReload
from penstock_suite.app.wiring import Wiring, by_their_addresses, public_credentials
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Draining, Serving, Show, Stopped
from penstock_suite.domain.requests import Role, ServeRequest
from penstock_suite.settings import RoleSettings

if TYPE_CHECKING:
    from penstock_gateway.app.gateway import RunningGateway
    from penstock_gateway.app.worker import RunningWorker


class RunningRole(Protocol):
    """A role that listens."""

    async def set_ready(self) -> None:
        """Say that this process accepts work."""
        ...

    async def drain(self, grace: timedelta) -> None:
        """Refuse arrivals, and wait until the rest have ended or ``grace`` is over."""
        ...

    async def take_over(self, configuration: Configuration) -> None:
        """Answer what comes from now on by this configuration.

        Raises:
            ConfigurationError: if it cannot; then nothing has changed.
        """
        ...


Opening = Callable[[], AbstractAsyncContextManager[RunningRole]]


async def serve(request: ServeRequest, show: Show, began: float) -> None:
    """Run the role until a signal asks for its end; ``began`` is when the command did, on ``time.monotonic``.

    Raises:
        ConfigurationError, Misconfigured: if its sections of the configuration cannot be used.
        SuiteFailure: if it cannot listen.
    """
    configuration = checked_role(request.role, request.config)
    reload = RoleReload(request, configuration, show)

    def serving() -> Serving:
        listen = listen_of(request.role, configuration.settings(RoleSettings))
        return Serving(request.role, listen, round(time.monotonic() - began, 3))

    def opening() -> AbstractAsyncContextManager[RunningRole]:
        return open_role(request.role, configuration, reload.metrics)

    probes = configuration.settings(RoleSettings).services.probes_listen
    await run_role(Run(opening, serving, request.grace, show, reload, probes))


@dataclass(frozen=True, slots=True)
class Run:
    """How a role is run: calls in flight have ``grace`` to end, and ``reload`` has it take another configuration over."""

    opening: Opening
    serving: Callable[[], Serving]
    grace: timedelta
    show: Show
    reload: Reloading
    probes: str = ""
    """``host:port`` where an orchestrator's probes are answered; empty: nowhere."""


async def run_role(run: Run) -> None:
    """Open a role and run it until a signal asks for its end.

    Raises:
        SuiteFailure: if it cannot listen.
    """
    raise_file_limit()
    return_memory()
    favour_the_loop()
    configure_logging()
    ending, reloads = Ending(), Reloads()
    with on_signals(ending.ask, reloads.ask):
        try:
            await _run(run, ending, reloads)
        except ListenError as error:
            raise SuiteFailure(str(error)) from None
    run.show(Stopped(at_once=ending.at_once))


async def _run(run: Run, ending: Ending, reloads: Reloads) -> None:
    async with AsyncExitStack() as stack:
        standing = await stack.enter_async_context(answering_probes(run.probes))
        role: RunningRole | None = None
        with ending.interrupts():
            role = await stack.enter_async_context(run.opening())
            settle_memory()
            await role.set_ready()
            standing.is_ready = True
            run.reload.began()
            run.show(run.serving())
            async with reloads.answered(partial(run.reload.reload, role)):
                await ending.wait()
        standing.is_ready = False
        if role is None:
            return
        run.show(Draining(run.grace.total_seconds()))
        with ending.cuts():
            await role.drain(run.grace)


def listen_of(role: Role, settings: RoleSettings) -> str:
    """Return where the role answers gRPC."""
    return settings.listen.grpc if role is Role.GATEWAY else settings.services.listen_of(role)


def open_role(
    role: Role, configuration: Configuration, metrics: RevisionMetrics | None = None
) -> AbstractAsyncContextManager[RunningRole]:
    """Return the context of a running role; only its own sections of the configuration are resolved.

    Raises:
        ConfigurationError: if they cannot be used.
        ListenError: if an address is taken or not ours.
    """
    settings = configuration.settings(RoleSettings)
    security = Security.of(settings.services, settings.secrets)
    opened = _Opened(role, configuration, settings, security, metrics or RevisionMetrics(configuration.revision))
    if role is Role.GATEWAY:
        return _gateway(opened)
    return _worker(opened) if role is Role.WORKER else _internal(opened)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a role is opened with."""

    role: Role
    configuration: Configuration
    settings: RoleSettings
    security: Security
    metrics: RevisionMetrics

    def wiring(self, stack: AsyncExitStack) -> Wiring:
        """Return how the role is put together; its loop is watched until ``stack`` ends."""
        places = by_their_addresses(self.settings, self.security)
        return Wiring(self.configuration, places, stack, [self.metrics, stack.enter_context(watched_loop())])


class _InternalRole:
    """Implements ``RunningRole`` for a service behind the gateway."""

    def __init__(self, listener: GrpcListener, wiring: Wiring) -> None:
        self._listener = listener
        self._wiring = wiring

    async def take_over(self, configuration: Configuration) -> None:
        (await self._wiring.prepare(configuration))()

    async def set_ready(self) -> None:
        await self._listener.set_serving(serving=True)

    async def drain(self, grace: timedelta) -> None:
        # Connections get a GOAWAY, so callers turn to another replica while running calls end here.
        await self._listener.set_serving(serving=False)
        await self._listener.stop(grace)


class GatewayRole:
    """Implements ``RunningRole`` for a gateway, which may have others beside it, and whatever is wired with it."""

    def __init__(self, gateway: RunningGateway, wiring: Wiring, notice: timedelta = timedelta()) -> None:
        self._gateway = gateway
        self._wiring = wiring
        self._notice = notice

    async def take_over(self, configuration: Configuration) -> None:
        """Have all of it take another configuration over; see the port."""
        (await self._wiring.prepare(configuration))()

    async def set_ready(self) -> None:
        """Accept work; see the port."""
        await self._gateway.set_ready()

    async def drain(self, grace: timedelta) -> None:
        """Refuse arrivals; see the port."""
        await self._gateway.drain(grace, self._notice)


class _WorkerRole:
    """Implements ``RunningRole`` for a worker, of which health alone is asked."""

    def __init__(self, listener: GrpcListener, worker: RunningWorker, wiring: Wiring) -> None:
        self._listener = listener
        self._worker = worker
        self._wiring = wiring

    async def take_over(self, configuration: Configuration) -> None:
        (await self._wiring.prepare(configuration))()

    async def set_ready(self) -> None:
        await self._listener.set_serving(serving=True)

    async def drain(self, grace: timedelta) -> None:
        await self._listener.set_serving(serving=False)
        await self._worker.drain(grace)


@asynccontextmanager
async def _internal(opened: _Opened) -> AsyncGenerator[RunningRole]:
    role, settings, security = opened.role, opened.settings, opened.security
    address = settings.services.listen_of(role)
    security.refuse_open_bind(address, f"services.{role}.listen")
    registry = CollectorRegistry()
    shedding = LoadShedding(settings.services.room.of(role))
    registry.register(shedding)
    interceptors: list[ServerInterceptor] = [
        FinalFailures(),
        CallTelemetry(registry),
        *_guards(role, settings, security),
        IncomingScope(),
        shedding,
    ]
    options = _internal_options(opened)
    async with (
        serving_metrics(registry, settings.telemetry.metrics_listen),
        AsyncExitStack() as stack,
    ):
        wiring = opened.wiring(stack)
        service = await wiring.service(role)
        listener = await stack.enter_async_context(listening(address, [service], interceptors, options))
        for collector in (*wiring.of_the_process, *service.collectors):
            registry.register(collector)
        yield _InternalRole(listener, wiring)


def _internal_options(opened: _Opened) -> ServerOptions:
    services = opened.settings.services
    return ServerOptions(
        credentials=opened.security.server_credentials(),
        reflection=False,
        limits=GrpcLimits(
            max_connection_age=services.connection_age, max_connection_age_grace=services.connection_grace
        ),
    )


@asynccontextmanager
async def _worker(opened: _Opened) -> AsyncGenerator[RunningRole]:
    settings, security = opened.settings, opened.security
    address = settings.services.listen_of(Role.WORKER)
    security.refuse_open_bind(address, "services.worker.listen")
    guards = _guards(Role.WORKER, settings, security)
    async with AsyncExitStack() as stack:
        wiring = opened.wiring(stack)
        # Its metrics are served with its parts, as a gateway's are.
        worker = await wiring.worker()
        options = _internal_options(opened)
        listener = await stack.enter_async_context(listening(address, [Service("worker", [])], guards, options))
        yield _WorkerRole(listener, worker, wiring)


def _guards(role: Role, settings: RoleSettings, security: Security) -> list[ServerInterceptor]:
    guests = Guestlist(role, settings.services.peers.of(role))
    by_certificate: list[ServerInterceptor] = [PeerGuard(guests)] if security.certificates is not None else []
    return [*by_certificate, *([TokenGuard(security.token)] if security.token else [])]


@asynccontextmanager
async def _gateway(opened: _Opened) -> AsyncGenerator[RunningRole]:
    from penstock_gateway.app.gateway import Listen

    settings, security = opened.settings, opened.security
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
        wiring = opened.wiring(stack)
        yield GatewayRole(await wiring.gateway(listen), wiring, settings.services.drain_notice)

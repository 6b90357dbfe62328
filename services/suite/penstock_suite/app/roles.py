"""Each role as a process of its own: what it listens on, whom it calls, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry

from penstock_common.configuration import Configuration
from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.interception import ServerInterceptor
from penstock_common.rpc.security import Security, TokenGuard, TokenSender
from penstock_common.rpc.server import GrpcListener, ServerOptions, listening
from penstock_common.rpc.server_interceptors import CallTelemetry, FinalFailures, IncomingScope
from penstock_common.service import Service
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_suite.app.public_tls import public_credentials
from penstock_suite.domain.requests import Role
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
    guards: list[ServerInterceptor] = [TokenGuard(security.token)] if security.token else []
    interceptors = [FinalFailures(), CallTelemetry(registry), *guards, IncomingScope()]
    options = ServerOptions(
        credentials=security.server_credentials(),
        reflection=False,
        max_connection_age=settings.services.connection_age,
        max_connection_age_grace=settings.services.connection_grace,
    )
    async with (
        serving_metrics(registry, settings.telemetry.metrics_listen),
        _built(role, configuration) as service,
        listening(address, [service], interceptors, options) as listener,
    ):
        for collector in service.collectors:
            registry.register(collector)
        yield _InternalRole(listener)


def _built(role: Role, configuration: Configuration) -> AbstractAsyncContextManager[Service]:
    # A role loads its own package alone: the others' libraries may not even be there.
    package = f"penstock_{role}"
    own_settings = configuration.settings(import_module(f"{package}.settings").Settings)
    return import_module(f"{package}.app").build(own_settings)


@asynccontextmanager
async def _gateway(
    configuration: Configuration, settings: RoleSettings, security: Security
) -> AsyncGenerator[RunningRole]:
    import penstock_gateway.settings
    from penstock_gateway.app import gateway

    own_settings = configuration.settings(penstock_gateway.settings.Settings)
    address = settings.services.listen_of(Role.GATEWAY)
    security.refuse_open_bind(address, "services.gateway.listen")
    async with AsyncExitStack() as stack:
        interceptors = (TokenSender(security.token),) if security.token else ()
        roles = [Role.ROUTER, Role.INFERENCE, *([Role.CACHE] if settings.cache.mode != "off" else [])]
        if settings.services.embedding.target:
            # Its section of the file is its own, so the address says whether there is one.
            roles.append(Role.EMBEDDING)
        channels: dict[str, Any] = {}
        for role in roles:
            channel = open_channel(settings.services.target_of(role), security.channel_credentials())
            channels[role] = SocketChannel(await stack.enter_async_context(channel), interceptors)
        listen = gateway.Listen(
            grpc=settings.listen.grpc,
            http=address,
            grpc_options=ServerOptions(credentials=public_credentials(settings.listen.tls)),
            http_tls=settings.services.tls,
        )
        running = gateway.running(
            own_settings, gateway.Channels(**channels), listen, upgrades_schema=False, shares_limits=True
        )
        yield _Gateway(await stack.enter_async_context(running), settings.services.drain_notice)

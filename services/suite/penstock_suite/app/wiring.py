"""Puts roles together: each gets a channel to every role that it calls, in this process or wherever that is.

What a role calls it declares itself (``penstock_common.service.Role``); where
the roles are is data, too. So every shape of the suite, from one process to
one for each role, is this module with other places.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import grpc

from penstock_common import service
from penstock_common.certificates import Certificates
from penstock_common.configuration import Configuration, ConfigurationError, Section
from penstock_common.rpc.channel import ClientInterceptor, SocketChannel, open_channel
from penstock_common.rpc.client import Channel
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.rpc.renewing import renewing_channel
from penstock_common.rpc.security import Security, TokenSender, server_credentials
from penstock_common.upstreams.quality import QualityBoard
from penstock_common.upstreams.state import Board
from penstock_suite.domain.requests import Role
from penstock_suite.settings import Joined, RoleSettings, TlsSettings

if TYPE_CHECKING:
    from penstock_gateway.app.gateway import Channels, Listen, RunningGateway
    from penstock_gateway.app.worker import RunningWorker

Place = Callable[[], AbstractAsyncContextManager[Channel]]
"""Opens a channel to where a role is."""
Places = Mapping[str, Place | None]
"""The roles that there are, by their names: None for one of this process. ``POINTS`` is always elsewhere."""
POINTS = "points"
"""The vectors' engine, where it is another process's: no role, but called as one is."""


class Wiring:
    """Builds roles, each once, and closes them in reverse order with ``stack``."""

    def __init__(
        self, configuration: Configuration, places: Places, stack: AsyncExitStack, collectors: Sequence[Any] = ()
    ) -> None:
        """Take where roles are; ``collectors`` measure the process, and are shown with the gateway's."""
        self._configuration = configuration
        self._since = datetime.now(UTC)
        self._places = places
        self._stack = stack
        self._channels: dict[str, Channel] = {}
        self._board, self._quality = Board(), QualityBoard()
        self.of_the_process = tuple(collectors)
        """What measures the process, whichever roles it has."""
        self._collectors: list[Any] = [*collectors]
        self._preparing: list[tuple[type[Section], service.Prepare]] = []

    async def service(self, role: Role) -> service.Service:
        """Return the role, built in this process.

        Raises:
            ConfigurationError: if its settings cannot be used, or a role that it calls is nowhere.
        """
        declared = _declared(role)
        settings = self._configuration.settings(declared.settings)
        built: service.Service = await self._stack.enter_async_context(
            declared.build(settings, **await self._called_by(declared), **self._shared_by(declared))
        )
        self._preparing.append((declared.settings, built.prepare))
        return built

    async def gateway(
        self, listen: Listen, *, upgrades_schema: bool = False, shares_limits: bool = True
    ) -> RunningGateway:
        """Return a gateway that listens, with everything below it.

        ``shares_limits`` says that other processes count the same limits.

        Raises:
            ConfigurationError: as ``service``.
            ListenError: if an address is taken or not ours.
        """
        from penstock_gateway.app.gateway import running
        from penstock_gateway.settings import Settings

        channels = await self._gateways_channels()
        settings = self._configuration.settings(Settings)
        gateway = await self._stack.enter_async_context(
            running(settings, channels, listen, upgrades_schema=upgrades_schema, shares_limits=shares_limits)
        )
        self._preparing.append((Settings, gateway.prepare))
        return gateway

    async def worker(self) -> RunningWorker:
        """Return a worker, with everything below it.

        Raises:
            ConfigurationError: as ``service``.
        """
        from penstock_gateway.app.worker import running
        from penstock_gateway.settings import Settings

        settings = self._configuration.settings(Settings)
        worker = await self._stack.enter_async_context(running(settings, await self._gateways_channels()))
        self._preparing.append((Settings, worker.prepare))
        return worker

    async def _gateways_channels(self) -> Channels:
        from penstock_gateway.app.gateway import ROLE, Channels, ConfigurationRevision

        return Channels(
            **await self._called_by(ROLE),
            cache_is_here=self._is_here(Role.CACHE),
            inference_is_here=self._is_here(Role.INFERENCE),
            collectors=self._collectors,
            revision=lambda: ConfigurationRevision(self._configuration.revision, self._since),
            quality=self._quality if self._is_here(Role.ROUTER) else None,
        )

    async def prepare(self, configuration: Configuration) -> service.Commit:
        """Return what has every role that was built here take another configuration over, all at once.

        Raises:
            ConfigurationError: if one cannot; then nothing has changed.
        """
        commits = [await prepare(configuration.settings(settings)) for settings, prepare in self._preparing]

        def commit() -> None:
            for one in commits:
                one()
            self._configuration, self._since = configuration, datetime.now(UTC)

        return commit

    async def channel(self, role: str) -> Channel:
        """Return the way to a role, by its name.

        Raises:
            ConfigurationError: if it is nowhere.
        """
        if role not in self._channels:
            self._channels[role] = await self._opened(role)
        return self._channels[role]

    async def _called_by(self, declared: service.Role) -> dict[str, Any]:
        there = [name for name in declared.may_call if name in self._places]
        return {name: await self.channel(name) for name in (*declared.calls, *there)}

    def _shared_by(self, declared: service.Role) -> dict[str, Any]:
        meets = bool(declared.meets) and all(self._is_here(name) for name in declared.meets)
        shared: dict[str, Any] = {"board": self._board} if meets else {}
        # Who is called in this process is built for its gateway.
        if declared.hears_gateway and self._is_here(Role.ROUTER):
            shared["quality"] = self._quality
        return shared

    async def _opened(self, role: str) -> Channel:
        if role not in self._places:
            raise ConfigurationError(f"the {role} is called, and this shape of the suite has none")
        place = self._places[role]
        if place is not None:
            return await self._stack.enter_async_context(place())
        built = await self.service(Role(role))
        self._collectors += built.collectors
        # No interceptors: a call runs in its caller's context, which holds the scope already.
        return InProcessChannel(built.handlers)

    def _is_here(self, role: str) -> bool:
        return role in self._places and self._places[role] is None


def _declared(role: Role) -> service.Role:
    # A role loads its own package alone: the others' libraries may not even be there.
    declared: service.Role = import_module(f"penstock_{role}.app").ROLE
    return declared


def all_here(configuration: Configuration) -> dict[str, Place | None]:
    """Return every role that the configuration has, in this process."""
    settings = configuration.settings(Joined)
    here = [Role.ROUTER, Role.INFERENCE]
    here += [Role.CACHE] if settings.has_cache else []
    here += [Role.EMBEDDING] if settings.embedding is not None else []
    return dict.fromkeys(here)


def by_their_addresses(settings: RoleSettings, security: Security) -> Places:
    """Return every role where ``services`` says that it is."""
    interceptors = (TokenSender(security.token),) if security.token else ()

    def place_of(role: Role) -> Place:
        return lambda: _over_network(settings, settings.services.target_of(role), security, interceptors)

    there = [Role.ROUTER, Role.INFERENCE]
    there += [Role.CACHE] if settings.cache.mode != "off" else []
    # Its section of the file is its own, so the address says whether there is one.
    there += [Role.EMBEDDING] if settings.services.embedding.target else []
    return {role: place_of(role) for role in there}


def _over_network(
    settings: RoleSettings, target: str, security: Security, interceptors: Sequence[ClientInterceptor]
) -> AbstractAsyncContextManager[Channel]:
    if security.certificates is None:
        return over_socket(target, interceptors)
    return renewing_channel(target, security.certificates, settings.services.connection_grace, interceptors)


@asynccontextmanager
async def over_socket(target: str, interceptors: Sequence[ClientInterceptor] = ()) -> AsyncGenerator[Channel]:
    """Yield a channel to the role at a target, in plaintext."""
    async with open_channel(target) as channel:
        yield SocketChannel(channel, interceptors)


def public_credentials(tls: TlsSettings | None) -> grpc.ServerCredentials | None:
    """Return what the public gRPC port shows of itself, by ``listen.tls``; None for plaintext.

    Raises:
        ConfigurationError: if a file cannot be read.
    """
    if tls is None:
        return None
    try:
        held = Certificates(tls.cert_file.read_bytes(), tls.key_file.read_bytes(), b"", tls)
    except OSError as error:
        raise ConfigurationError(f"'listen.tls': {error.filename}: {error.strerror}") from None
    return server_credentials(held)

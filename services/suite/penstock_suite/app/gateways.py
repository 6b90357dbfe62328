"""Who answers a local stack's requests: a gateway in the command's own process, or several workers."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from penstock_common.configuration import Configuration
from penstock_common.rpc.client import Channel
from penstock_common.rpc.server import ServerOptions
from penstock_gateway.app.gateway import Listen, RunningGateway
from penstock_suite.adapters.addresses import Address
from penstock_suite.adapters.first_generation import generate_once
from penstock_suite.adapters.loop_lag import watched_loop
from penstock_suite.app.parts import Workshop
from penstock_suite.app.wiring import Wiring, all_here, public_credentials
from penstock_suite.domain.progress import Prepared, Preparing
from penstock_suite.domain.reload import ProcessRevision
from penstock_suite.domain.requests import Role


class Gateways(Protocol):
    """Gateways that listen, with everything below them."""

    @property
    def grpc_targets(self) -> tuple[str, ...]:
        """Where the edge calls each: unix:///path."""
        ...

    @property
    def http_sockets(self) -> tuple[Path, ...]:
        """Where each serves the wire formats."""
        ...

    async def channel(self, role: Role) -> Channel | None:
        """Return the way to a role that this process has; None where another one has it."""
        ...

    async def set_ready(self) -> None:
        """Return when each has served once, and accepts work."""
        ...

    async def take_over(self, configuration: Configuration, number: int) -> Sequence[ProcessRevision]:
        """Answer what comes from now on by this configuration; return what other processes say of reload ``number``.

        Raises:
            ConfigurationError: if it cannot be; then nothing has changed.
        """
        ...

    async def drain(self, grace: timedelta) -> None:
        """Refuse arrivals, and wait until the rest have ended or ``grace`` is over."""
        ...


@asynccontextmanager
async def gateway_here(workshop: Workshop, configuration: Configuration, grpc: Address) -> AsyncGenerator[Gateways]:
    """Yield a gateway and all services in this process, the schema up to date."""
    since = time.monotonic()
    workshop.show(Preparing("services"))
    state = workshop.plan.state
    listen = Listen(
        grpc=str(grpc),
        http=f"unix:{state.gateway_socket}",
        grpc_options=ServerOptions(
            credentials=public_credentials(workshop.plan.settings.listen.tls),
            reflection=workshop.plan.settings.listen.reflection,
            own_address=f"unix:{state.gateway_grpc_socket}",
        ),
    )
    async with AsyncExitStack() as stack:
        measured = [workshop.metrics, stack.enter_context(watched_loop())]
        wiring = Wiring(configuration, all_here(configuration), stack, measured)
        # Nobody else counts them, unless the configuration names a Redis, which other stacks may share.
        shares_limits = bool(workshop.plan.settings.redis.state)
        gateway = await wiring.gateway(listen, upgrades_schema=True, shares_limits=shares_limits)
        workshop.show(Prepared("services", time.monotonic() - since))
        yield _Here(workshop, wiring, gateway)


class _Here:
    """Implements ``Gateways`` with the one in this process."""

    def __init__(
        self,
        workshop: Workshop,
        wiring: Wiring,
        gateway: RunningGateway,
    ) -> None:
        self._workshop = workshop
        self._wiring = wiring
        self._gateway = gateway
        state = workshop.plan.state
        self.grpc_targets = (f"unix://{state.gateway_grpc_socket}",)
        self.http_sockets = (state.gateway_socket,)

    async def channel(self, role: Role) -> Channel | None:
        return await self._wiring.channel(role)

    async def set_ready(self) -> None:
        for upstream, models in self._workshop.plan.settings.local_triton_models.items():
            for model in models:
                began = time.monotonic()
                self._workshop.show(Preparing(model))
                await generate_once(await self._wiring.channel(Role.INFERENCE), upstream, model)
                self._workshop.show(Prepared(model, time.monotonic() - began))
        await self._gateway.set_ready()

    async def take_over(self, configuration: Configuration, number: int) -> Sequence[ProcessRevision]:
        (await self._wiring.prepare(configuration))()
        return ()

    async def drain(self, grace: timedelta) -> None:
        await self._gateway.drain(grace)

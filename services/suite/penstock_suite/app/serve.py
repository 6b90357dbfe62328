"""`penstock serve`: one role, from its first line of log to its last call."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from penstock_common.configuration import Configuration
from penstock_common.logging import configure_logging
from penstock_common.rpc.server import ListenError
from penstock_suite.adapters.operating_system import on_signals, raise_file_limit, settle_memory
from penstock_suite.app.roles import RunningRole, open_role
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Draining, Serving, Show, Stopped
from penstock_suite.domain.requests import Role, ServeRequest
from penstock_suite.settings import Document, RoleSettings


async def serve(request: ServeRequest, show: Show, began: float) -> None:
    """Run the role until a signal asks for its end; ``began`` is when the command did, on ``time.monotonic``.

    Raises:
        ConfigurationError: if its sections of the configuration cannot be used.
        SuiteFailure: if it cannot listen.
    """
    configuration = Configuration.load(request.config)
    Document.of(configuration)
    raise_file_limit()
    configure_logging()
    ending = Ending()
    with on_signals(ending.ask):
        try:
            await _run(request, configuration, ending, show, began)
        except ListenError as error:
            raise SuiteFailure(str(error)) from None
    show(Stopped(at_once=ending.at_once))


async def _run(request: ServeRequest, configuration: Configuration, ending: Ending, show: Show, began: float) -> None:
    async with AsyncExitStack() as stack:
        role: RunningRole | None = None
        with ending.interrupts():
            role = await stack.enter_async_context(open_role(request.role, configuration))
            settle_memory()
            await role.set_ready()
            listen = listen_of(request.role, configuration.settings(RoleSettings))
            show(Serving(request.role, listen, round(time.monotonic() - began, 3)))
            await ending.wait()
        if role is None:
            return
        show(Draining(request.grace.total_seconds()))
        with ending.cuts():
            await role.drain(request.grace)


def listen_of(role: Role, settings: RoleSettings) -> str:
    """Return where the role answers gRPC."""
    return settings.listen.grpc if role is Role.GATEWAY else settings.services.listen_of(role)

"""`penstock serve`: one role, from its first line of log to its last call."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta

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

Opening = Callable[[], AbstractAsyncContextManager[RunningRole]]


async def serve(request: ServeRequest, show: Show, began: float) -> None:
    """Run the role until a signal asks for its end; ``began`` is when the command did, on ``time.monotonic``.

    Raises:
        ConfigurationError: if its sections of the configuration cannot be used.
        SuiteFailure: if it cannot listen.
    """
    configuration = Configuration.load(request.config)
    Document.of(configuration)

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

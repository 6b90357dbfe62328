"""Administration of a stack: asked of it while it serves, done on its database while it does not."""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import PenstockError
from penstock_common.rpc.channel import open_channel
from penstock_suite.adapters.admin_client import administration_over, asking, method_of
from penstock_suite.adapters.gateway_client import SERVING, credentials_of, health_of, key_head
from penstock_suite.adapters.state_files import (
    ensure_key_file,
    open_state_folder,
    random_secret,
    read_key_file,
    read_run_record,
)
from penstock_suite.app.plan import StackPlan, make_plan
from penstock_suite.app.running_stack import as_running, runs_with
from penstock_suite.domain.administration import Administration
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.requests import Administered, GatewayTarget, Selection

# What the gateway lets the owner of its socket say: who typed the command, for the audit log.
_TYPED_BY = "x-penstock-typed-by"


@asynccontextmanager
async def administration(asked: Administered) -> AsyncGenerator[Administration]:
    """Yield the administration of a gateway, of the stack that runs, or of the database of one that does not.

    Raises:
        SuiteFailure: if it cannot be reached, or the database cannot be used.
    """
    if asked.gateway is not None:
        async with _of_gateway(asked.gateway) as opened:
            yield opened
        return
    selection = as_running(asked.selection)
    plan = make_plan(selection)
    open_state_folder(plan.state.root)
    gateway = await _serving(plan, selection)
    async with _of_gateway(gateway, _user()) if gateway is not None else _of_database(plan) as opened:
        yield opened


async def _serving(plan: StackPlan, selection: Selection) -> GatewayTarget | None:
    """Return a gateway of the stack that runs on the plan's folder, if it is the selected one and serves."""
    record = read_run_record(plan.state)
    if record is None or not runs_with(record, selection):
        return None
    for address in record.gateways:
        if await health_of(address) == SERVING:
            return GatewayTarget(grpc_address=address, key=read_key_file(plan.state.operator_key))
    return None


@asynccontextmanager
async def _of_gateway(target: GatewayTarget, typed_by: str = "") -> AsyncGenerator[Administration]:
    if not target.key:
        raise Misconfigured("there is no operator's key: give one with --key, or in PENSTOCK_OPERATOR_KEY")
    head = (*key_head(target.key), *(((_TYPED_BY, quote(typed_by)),) if typed_by else ()))
    async with open_channel(target.grpc_address, credentials_of(target)) as channel:
        yield administration_over(*asking(channel, target, head))


@asynccontextmanager
async def _of_database(plan: StackPlan) -> AsyncGenerator[Administration]:
    """Yield what the gateway would do, done here: for the first key, and for a stack that is down."""
    from penstock_gateway.app.administration import open_administration
    from penstock_gateway.domain.administration.actor import Actor
    from penstock_gateway.settings import Settings

    ensure_key_file(plan.state.key_pepper, random_secret)
    settings = plan.configuration().settings(Settings)
    try:
        async with open_administration(settings, Actor.at_the_command_line(_user())) as servicers:

            async def ask(method: str, request: Any) -> Any:
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)
    except (PenstockError, OSError, ConfigurationError) as error:
        raise SuiteFailure(str(error)) from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a number without a name.
        return str(os.getuid())

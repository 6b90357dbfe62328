"""The gateway's administration on the database of a stack, as an operator at the command line."""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import InvalidRequest, PenstockError, ResourceNotFound
from penstock_gateway.app.administration import open_administration
from penstock_gateway.domain.administration.actor import COMMAND_LINE, Actor
from penstock_gateway.domain.administration.administration import Administration
from penstock_gateway.domain.administration.paging import Listing, Page
from penstock_gateway.settings import Settings
from penstock_suite.adapters.key_files import ensure_key_file, random_secret
from penstock_suite.adapters.state_files import open_state_folder, read_run_record
from penstock_suite.app.plan import make_plan, state_root
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.requests import Selection

_PAGE_SIZE = 500
_MAX_USER_LENGTH = 32

ItemT = TypeVar("ItemT")


@asynccontextmanager
async def administration(selection: Selection) -> AsyncGenerator[Administration]:
    """Yield the administration; what it refuses becomes a sentence and an exit code.

    Raises:
        Misconfigured: if what was asked for cannot be meant.
        SuiteFailure: if it is refused for another reason, or the database cannot be used.
    """
    plan = make_plan(as_running(selection))
    open_state_folder(plan.state.root)
    ensure_key_file(plan.state.key_pepper, random_secret)
    try:
        async with open_administration(plan.configuration().settings(Settings)) as opened:
            yield opened
    except InvalidRequest as error:
        raise Misconfigured(str(error)) from None
    except ResourceNotFound as error:
        sentence = f"{str(error).rstrip('.')}: see 'penstock {error.kind}s list'"
        raise (Misconfigured if error.kind == "tenant" else SuiteFailure)(sentence) from None
    except (PenstockError, OSError, ConfigurationError) as error:
        raise SuiteFailure(str(error)) from None


def operator() -> Actor:
    """Return whoever types the command, who is the operator by reaching the database."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a number without a name.
        user = str(os.getuid())
    return Actor(key_id=COMMAND_LINE, user_id=user[:_MAX_USER_LENGTH], is_operator=True)


async def everything(listing: Callable[[Page], Awaitable[Listing[ItemT]]]) -> list[ItemT]:
    """Return the items of every page."""
    found: list[ItemT] = []
    token = ""
    while True:
        listed = await listing(Page.of(_PAGE_SIZE, token))
        found += listed.items
        token = listed.next_token
        if not token:
            return found


def as_running(selection: Selection) -> Selection:
    """Return the selection; without a configuration named, with that of the stack that runs on the folder."""
    if selection.config is not None:
        return selection
    record = read_run_record(open_state_folder(state_root(selection.state)))
    if record is None:
        return selection
    config = Path(record.config) if record.config else None
    return replace(selection, config=config, without_triton=record.without_triton)

"""The `penstock` command: its options and its commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from penstock_suite import __version__
from penstock_suite.surfaces.cli.audit import ListEntries, add_audit
from penstock_suite.surfaces.cli.backup import CopyActions, add_backup
from penstock_suite.surfaces.cli.certificates import ProvideCertificates, add_certificates
from penstock_suite.surfaces.cli.chat import ChatActions, add_chat
from penstock_suite.surfaces.cli.config import CheckConfiguration, add_config
from penstock_suite.surfaces.cli.keys import KeyActions, add_keys
from penstock_suite.surfaces.cli.models import ModelActions, add_models
from penstock_suite.surfaces.cli.serve import RoleActions, add_serve
from penstock_suite.surfaces.cli.status import StatusActions, add_status
from penstock_suite.surfaces.cli.tenants import TenantActions, add_tenants
from penstock_suite.surfaces.cli.up import RunStack, add_up
from penstock_suite.surfaces.cli.users import UserActions, add_users


@dataclass(frozen=True, slots=True)
class Actions:
    """What the commands do."""

    run_stack: RunStack
    check_configuration: CheckConfiguration
    keys: KeyActions
    tenants: TenantActions
    users: UserActions
    list_audit_entries: ListEntries
    models: ModelActions
    chat: ChatActions
    status: StatusActions
    roles: RoleActions
    provide_certificates: ProvideCertificates
    copies: CopyActions


def command_line(actions: Actions) -> typer.Typer:
    """Return the command line over ``actions``."""
    cli = typer.Typer(
        name="penstock",
        help="Takes an LLM application to production. Exit codes: 0 done, 1 failed, 2 wrong configuration or options.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @cli.callback()
    def penstock(
        *,
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
        ] = False,
    ) -> None:
        del version

    add_up(cli, actions.run_stack)
    add_status(cli, actions.status)
    add_chat(cli, actions.chat)
    add_keys(cli, actions.keys)
    add_tenants(cli, actions.tenants)
    add_users(cli, actions.users)
    add_audit(cli, actions.list_audit_entries)
    add_models(cli, actions.models)
    add_config(cli, actions.check_configuration)
    add_serve(cli, actions.roles)
    add_backup(cli, actions.copies)
    add_certificates(cli, actions.provide_certificates)
    return cli


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit

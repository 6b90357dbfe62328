"""`penstock teams create|list|archive|restore`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration, StoredTeam
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="From 'penstock teams list'.")]
OfTenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose team it is.")]


def teams(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("Teams of tenants: whose limits and spend are counted together.")
    _add_create(cli, opened)
    _add_list(cli, opened)
    _add_switch(cli, opened, "archive", "Have every key of a team refused; a running stack does within 5 s.")
    _add_switch(cli, opened, "restore", "Have the keys of an archived team accepted again.")
    return cli


def _add_create(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("create", help="Make a team of a tenant. What it spends stays in its name.")
    @administering(opened)
    def create(
        ask: Ask,
        *,
        name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_' and '-'.")],
        tenant: OfTenantOption,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            _show(ask(lambda administration: administration.create_team(tenant, name)), as_json=as_json)


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List teams, by tenant and name.")
    @administering(opened)
    def list_teams(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.teams(tenant))
            if as_json:
                print_json(found)
            elif found:
                print_table(("tenant", "name", "created", "state"), map(_row, found))
            else:
                note("No teams yet: make one with 'penstock teams create NAME --tenant TENANT'.")


def _row(team: StoredTeam) -> Sequence[str]:
    state = "in use" if team.archived_at is None else "[red]archived[/]"
    return (escape(team.tenant), escape(team.name), f"{team.created_at:%Y-%m-%d}", state)


def _add_switch(cli: typer.Typer, opened: OpenAdministration, command: str, about: str) -> None:
    archived = command == "archive"

    @cli.command(command, help=about)
    @administering(opened)
    def switch(ask: Ask, *, name: NameArgument, tenant: OfTenantOption, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            team = ask(lambda administration: administration.switch_team(tenant, name, archived=archived))
            _show(team, as_json=as_json)


def _show(team: StoredTeam, *, as_json: bool) -> None:
    if as_json:
        print_json(team)
        return
    state = "in use" if team.archived_at is None else "archived"
    note(f"Team {team.name} of {team.tenant} is {state}.")

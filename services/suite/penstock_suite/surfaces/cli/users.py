"""`penstock users create|list|update|disable|enable`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration, StoredUser
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

UserArgument = Annotated[str, typer.Argument(metavar="ID", help="From 'penstock users list'.")]
RoleOption = Annotated[
    str, typer.Option(metavar="viewer|member|admin", help="What the user may do, and the user's keys at most.")
]


def users(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("Users of tenants, and what their keys may at most.")
    _add_create(cli, opened)
    _add_list(cli, opened)
    _add_update(cli, opened)
    _add_switch(cli, opened, "disable", "Have every key of a user refused; a running stack does within 5 s.")
    _add_switch(cli, opened, "enable", "Have the keys of a disabled user accepted again.")
    return cli


def _add_create(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("create", help="Make a user of a tenant.")
    @administering(opened)
    def create(
        ask: Ask,
        *,
        name: Annotated[
            str, typer.Argument(metavar="NAME", help="Unique in the tenant, such as an address of e-mail.")
        ],
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose user it is.")],
        role: RoleOption = "member",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            user = ask(lambda administration: administration.create_user(tenant, name, role))
            if not as_json:
                # Alone, for `penstock keys create --user "$(penstock users create …)"`.
                typer.echo(user.id)
            _show(user, as_json=as_json)


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List users, oldest first.")
    @administering(opened)
    def list_users(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            users = ask(lambda administration: administration.users(tenant))
            if as_json:
                print_json(users)
            elif users:
                print_table(("id", "tenant", "name", "role", "created", "state"), map(_row, users))
            else:
                note("No users yet: make one with 'penstock users create NAME --tenant TENANT'.")


def _row(user: StoredUser) -> Sequence[str]:
    state = "enabled" if user.disabled_at is None else "[red]disabled[/]"
    return (user.id, escape(user.tenant), escape(user.name), user.role, f"{user.created_at:%Y-%m-%d}", state)


def _add_update(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("update", help="Give a user another role; keys lose what it does not permit.")
    @administering(opened)
    def update(
        ask: Ask,
        *,
        user_id: UserArgument,
        role: RoleOption,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            _show(ask(lambda administration: administration.change_user(user_id, role)), as_json=as_json)


def _add_switch(cli: typer.Typer, opened: OpenAdministration, command: str, about: str) -> None:
    enabled = command == "enable"

    @cli.command(command, help=about)
    @administering(opened)
    def switch(ask: Ask, *, user_id: UserArgument, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            user = ask(lambda administration: administration.switch_user(user_id, enabled=enabled))
            _show(user, as_json=as_json)


def _show(user: StoredUser, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
        return
    state = "enabled" if user.disabled_at is None else "disabled"
    note(f"User {user.id}, {user.name} of {user.tenant}, has the role {user.role} and is {state}.")

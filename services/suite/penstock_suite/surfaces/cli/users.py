"""`penstock users create|list|update|disable|enable`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import typer
from rich.markup import escape

from penstock_suite.domain.requests import Selection
from penstock_suite.domain.tenants import StoredUser
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, failures_told, print_json
from penstock_suite.surfaces.cli.table import print_table

UserArgument = Annotated[str, typer.Argument(metavar="ID", help="From 'penstock users list'.")]
RoleOption = Annotated[
    str, typer.Option(metavar="viewer|member|admin", help="What the user may do, and the user's keys at most.")
]


class UserActions(Protocol):
    """What the commands do."""

    def create(self, selection: Selection, tenant: str, name: str, role: str) -> StoredUser:
        """Return a new user."""
        ...

    def list(self, selection: Selection, tenant: str) -> list[StoredUser]:
        """Return the users of the tenant, or of all."""
        ...

    def change(self, selection: Selection, user_id: str, role: str) -> StoredUser:
        """Return a user with another role."""
        ...

    def switch(self, selection: Selection, user_id: str, *, enabled: bool) -> StoredUser:
        """Return a user whose keys are accepted or refused from now on."""
        ...


@dataclass(frozen=True, slots=True)
class _Group:
    typer: typer.Typer
    actions: UserActions


def add_users(cli: typer.Typer, actions: UserActions) -> None:
    """Add the commands."""
    group = _Group(
        typer.Typer(help="Users of tenants, and what their keys may at most.", no_args_is_help=True), actions
    )
    cli.add_typer(group.typer, name="users")
    _add_create(group)
    _add_list(group)
    _add_update(group)
    _add_switch(group, "disable", "Have every key of a user refused; a running stack does within 5 s.")
    _add_switch(group, "enable", "Have the keys of a disabled user accepted again.")


def _add_create(group: _Group) -> None:
    @group.typer.command("create", help="Make a user of a tenant.")
    def create(
        *,
        name: Annotated[
            str, typer.Argument(metavar="NAME", help="Unique in the tenant, such as an address of e-mail.")
        ],
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose user it is.")],
        role: RoleOption = "member",
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            _show(group.actions.create(Selection(config, state), tenant, name, role), as_json=as_json)


def _add_list(group: _Group) -> None:
    @group.typer.command("list", help="List users, oldest first.")
    def list_users(
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            users = group.actions.list(Selection(config, state), tenant)
            if as_json:
                print_json(users)
            elif users:
                print_table(("id", "tenant", "name", "role", "created", "state"), map(_row, users))
            else:
                console().print("No users yet: make one with 'penstock users create NAME --tenant TENANT'.")


def _row(user: StoredUser) -> Sequence[str]:
    state = "enabled" if user.disabled_at is None else "[red]disabled[/]"
    return (user.id, escape(user.tenant), escape(user.name), user.role, f"{user.created_at:%Y-%m-%d}", state)


def _add_update(group: _Group) -> None:
    @group.typer.command("update", help="Give a user another role; keys lose what it does not permit.")
    def update(
        *,
        user_id: UserArgument,
        role: RoleOption,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            _show(group.actions.change(Selection(config, state), user_id, role), as_json=as_json)


def _add_switch(group: _Group, command: str, about: str) -> None:
    @group.typer.command(command, help=about)
    def switch(
        *, user_id: UserArgument, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            user = group.actions.switch(Selection(config, state), user_id, enabled=command == "enable")
            _show(user, as_json=as_json)


def _show(user: StoredUser, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
        return
    state = "enabled" if user.disabled_at is None else "disabled"
    console().print(
        f"User {user.id}, {escape(user.name)} of {escape(user.tenant)}, has the role {user.role} and is {state}."
    )

"""`penstock users create|list|update|disable|enable|revoke|revoked|restore`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration, RevokedSubject, StoredUser, UserRequest
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

UserArgument = Annotated[str, typer.Argument(metavar="ID", help="From 'penstock users list'.")]
RoleOption = Annotated[
    str, typer.Option(metavar="viewer|member|admin|reviewer", help="What the user may do, and the user's keys at most.")
]
SubjectArgument = Annotated[
    str, typer.Argument(metavar="SUBJECT", help="As the issuer's tokens name them: the claim 'sub', mostly.")
]
IssuerOption = Annotated[
    str, typer.Option(metavar="URL", help="Of this issuer's tokens; without it, of every issuer's.")
]
OfTenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose user it is; none for operators.")]


def users(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("Users of tenants, and what their keys may at most.")
    _add_create(cli, opened)
    _add_list(cli, opened)
    _add_update(cli, opened)
    _add_switch(cli, opened, "disable", "Have every key of a user refused; a running stack does within 5 s.")
    _add_switch(cli, opened, "enable", "Have the keys of a disabled user accepted again.")
    _add_revoke(cli, opened)
    _add_revoked(cli, opened)
    _add_restore(cli, opened)
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
        team: Annotated[str, typer.Option(metavar="NAME", help="What new keys of theirs are of.")] = "",
        service_account: Annotated[
            bool, typer.Option("--service-account", help="A program: its keys begin with pss_, and stay.")
        ] = False,
        as_json: JsonOption = False,
    ) -> None:
        wanted = UserRequest(tenant=tenant, name=name, role=role, team=team, is_service_account=service_account)
        with failures_told(as_json=as_json):
            user = ask(lambda administration: administration.create_user(wanted))
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
                print_table(("id", "tenant", "name", "kind", "role", "team", "created", "state"), map(_row, users))
            else:
                note("No users yet: make one with 'penstock users create NAME --tenant TENANT'.")


def _row(user: StoredUser) -> Sequence[str]:
    state = "enabled" if user.disabled_at is None else "[red]disabled[/]"
    made = f"{user.created_at:%Y-%m-%d}"
    return (user.id, escape(user.tenant), escape(user.name), user.kind, user.role, escape(user.team), made, state)


def _add_update(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command(
        "update",
        help="Give a user another role, and keys lose what it does not permit; or another team, and keys stay in theirs.",
    )
    @administering(opened)
    def update(
        ask: Ask,
        *,
        user_id: UserArgument,
        role: Annotated[str | None, typer.Option(metavar="viewer|member|admin|reviewer", help="The new role.")] = None,
        team: Annotated[str | None, typer.Option(metavar="NAME", help="The new team; '' for none.")] = None,
        as_json: JsonOption = False,
    ) -> None:
        if role is None and team is None:
            raise typer.BadParameter("name what to change: --role or --team")
        with failures_told(as_json=as_json):
            _show(ask(lambda administration: administration.change_user(user_id, role, team)), as_json=as_json)


def _add_switch(cli: typer.Typer, opened: OpenAdministration, command: str, about: str) -> None:
    enabled = command == "enable"

    @cli.command(command, help=about)
    @administering(opened)
    def switch(ask: Ask, *, user_id: UserArgument, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            user = ask(lambda administration: administration.switch_user(user_id, enabled=enabled))
            _show(user, as_json=as_json)


def _add_revoke(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command(
        "revoke", help="Have every token of somebody refused who signs in elsewhere; their keys are not touched."
    )
    @administering(opened)
    def revoke(
        ask: Ask,
        *,
        subject: SubjectArgument,
        tenant: OfTenantOption = "",
        issuer: IssuerOption = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            record = ask(lambda administration: administration.revoke_subject(tenant, issuer, subject))
            if as_json:
                print_json(record)
            else:
                note(f"Tokens of {subject} are refused, by a running stack within 5 s.")


def _add_revoked(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("revoked", help="List whose tokens are refused.")
    @administering(opened)
    def revoked(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.revoked_subjects(tenant))
            if as_json:
                print_json(found)
            elif found:
                print_table(("tenant", "issuer", "subject", "revoked"), map(_revoked_row, found))
            else:
                note("Nobody's tokens are refused.")


def _revoked_row(record: RevokedSubject) -> Sequence[str]:
    tenant, issuer = escape(record.tenant) or "[dim]operator[/]", escape(record.issuer) or "any"
    return (tenant, issuer, escape(record.subject), f"{record.revoked_at:%Y-%m-%d}")


def _add_restore(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("restore", help="Have somebody's tokens accepted again, as they were revoked.")
    @administering(opened)
    def restore(
        ask: Ask,
        *,
        subject: SubjectArgument,
        tenant: OfTenantOption = "",
        issuer: IssuerOption = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            ask(lambda administration: administration.restore_subject(tenant, issuer, subject))
            if as_json:
                print_json({"tenant": tenant, "issuer": issuer, "subject": subject})
            else:
                note(f"Tokens of {subject} are accepted again.")


def _show(user: StoredUser, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
        return
    state = "enabled" if user.disabled_at is None else "disabled"
    team = f" of the team {user.team}" if user.team else ""
    who = "Service account" if user.kind == "service account" else "User"
    note(f"{who} {user.id}, {user.name} of {user.tenant}{team}, has the role {user.role} and is {state}.")

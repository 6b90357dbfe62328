"""`penstock keys create|list|rotate|revoke`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from penstock_suite.domain.administration import KeyRequest, OpenAdministration, StoredKey
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group, read_duration, read_words
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_TITLES = (
    "id",
    "kind",
    "tenant",
    "team",
    "user",
    "label",
    "scopes",
    "models",
    "networks",
    "labels",
    "created",
    "expires",
    "state",
)

KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="From 'penstock keys list'.")]


def keys(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("API keys that are kept in the database.")
    _add_create(cli, opened)
    _add_list(cli, opened)
    _add_rotate(cli, opened)
    _add_revoke(cli, opened)
    return cli


def _add_create(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("create", help="Make a key. It is shown once; what is stored is a digest.")
    @administering(opened)
    def create(
        ask: Ask,
        *,
        tenant: Annotated[
            str, typer.Option(metavar="NAME", help="Whose it is; only an operator's (--scope operator) has none.")
        ] = "",
        user: Annotated[
            str,
            typer.Option(
                metavar="ID",
                help="The user or service account of the tenant who shall have it, from 'penstock users list'.",
            ),
        ] = "",
        team: Annotated[
            str,
            typer.Option(metavar="NAME", help="Whose spend is counted with it, for good; without it, the user's team."),
        ] = "",
        label: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
        scope: Annotated[
            list[str] | None,
            typer.Option(
                metavar="inference|read|admin|review|passthrough|operator", help="Repeatable; inference without it."
            ),
        ] = None,
        model: Annotated[
            list[str] | None, typer.Option(metavar="NAME", help="Repeatable; every model without it.")
        ] = None,
        network: Annotated[
            list[str] | None,
            typer.Option(metavar="CIDR", help="Where it is accepted from; repeatable; anywhere without it."),
        ] = None,
        labels: Annotated[
            str, typer.Option(metavar="A,B", help="Which labelled documents it finds; those without labels, too.")
        ] = "",
        expires: Annotated[str | None, typer.Option(metavar="TIME", help="Such as 30d; never without it.")] = None,
        as_json: JsonOption = False,
    ) -> None:
        wanted = KeyRequest(
            tenant=tenant,
            user_id=user,
            team=team,
            label=label,
            scopes=tuple(scope or ["inference"]),
            models=tuple(model or []),
            networks=tuple(network or []),
            labels=read_words(labels),
            lifetime=read_duration(expires, "--expires") if expires else None,
        )
        with failures_told(as_json=as_json):
            _show_made(*ask(lambda administration: administration.create_key(wanted)), as_json=as_json)


def _show_made(key: str, record: StoredKey, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": key, **msgspec.to_builtins(record)})
        return
    # Alone, for `KEY=$(penstock keys create …)`; what is to be said beside it goes where errors go.
    typer.echo(key)
    until = f", until {record.expires_at:%Y-%m-%d %H:%M} UTC" if record.expires_at else ""
    owner = f"tenant {record.tenant}" if record.tenant else "an operator"
    owner += f", team {record.team}" if record.team else ""
    note(f"Key {record.id} of {owner}{until}. It is not shown again.")


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List the keys in the database; those of the configuration file are not in it.")
    @administering(opened)
    def list_keys(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            records, now = ask(lambda administration: administration.keys(tenant)), datetime.now(UTC)
            if as_json:
                print_json([{**msgspec.to_builtins(record), "state": record.state(now)} for record in records])
            elif records:
                print_table(_TITLES, (_row(record, now) for record in records))
            else:
                note("No keys yet: make one with 'penstock keys create --tenant NAME'.")


def _row(record: StoredKey, now: datetime) -> Sequence[str]:
    return (
        record.id,
        record.kind,
        escape(record.tenant) or "[dim]operator[/]",
        escape(record.team),
        record.user_id,
        escape(record.label),
        " ".join(record.scopes),
        escape(" ".join(record.models)) or "all",
        " ".join(record.networks) or "any",
        " ".join(record.labels),
        _day(record.created_at),
        _day(record.expires_at) or "never",
        record.state(now),
    )


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""


def _add_rotate(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("rotate", help="Make a key that proves the same; the older one stays valid for the overlap.")
    @administering(opened)
    def rotate(
        ask: Ask,
        *,
        key_id: KeyArgument,
        overlap: Annotated[
            str, typer.Option(metavar="TIME", help="Such as 1h; 0s ends the older key at once.")
        ] = "24h",
        expires: Annotated[
            str | None,
            typer.Option(metavar="TIME", help="Such as 30d; without it, as long as the older key was made for."),
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        stays = read_duration(overlap, "--overlap")
        lifetime = read_duration(expires, "--expires") if expires else None
        with failures_told(as_json=as_json):
            key, record, previous = ask(lambda administration: administration.rotate_key(key_id, stays, lifetime))
            if as_json:
                print_json({"key": key, **msgspec.to_builtins(record), "previous": previous})
                return
            _show_made(key, record, as_json=False)
            note(f"Key {previous.id} stays valid until {previous.expires_at:%Y-%m-%d %H:%M:%S} UTC.")


def _add_revoke(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("revoke", help="Revoke a key by its id; a running stack refuses it within 5 s.")
    @administering(opened)
    def revoke(ask: Ask, *, key_id: KeyArgument, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            record = ask(lambda administration: administration.revoke_key(key_id))
            if as_json:
                print_json({**msgspec.to_builtins(record), "revoked": True})
            else:
                note(f"Key {key_id} is revoked.")

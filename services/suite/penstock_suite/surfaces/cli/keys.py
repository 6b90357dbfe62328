"""`penstock keys create|list|rotate|revoke`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

import msgspec
import typer
from rich.markup import escape

from penstock_suite.domain.keys import StoredKey
from penstock_suite.domain.requests import KeyRequest, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption, read_duration
from penstock_suite.surfaces.cli.output import console, failures_told, print_json
from penstock_suite.surfaces.cli.table import print_table

_TITLES = ("id", "tenant", "user", "label", "scopes", "models", "networks", "created", "expires", "state")

KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="From 'penstock keys list'.")]


class KeyActions(Protocol):
    """What the commands do."""

    def create(self, selection: Selection, request: KeyRequest) -> tuple[str, StoredKey]:
        """Return a new key and its record."""
        ...

    def list(self, selection: Selection, tenant: str) -> list[StoredKey]:
        """Return every created key of the tenant, or of all."""
        ...

    def rotate(
        self, selection: Selection, key_id: str, overlap: timedelta | None, lifetime: timedelta | None
    ) -> tuple[str, StoredKey, StoredKey]:
        """Return a new key, its record, and the older one's."""
        ...

    def revoke(self, selection: Selection, key_id: str) -> StoredKey:
        """Return the revoked key."""
        ...


@dataclass(frozen=True, slots=True)
class _Group:
    typer: typer.Typer
    actions: KeyActions


def add_keys(cli: typer.Typer, actions: KeyActions) -> None:
    """Add the commands."""
    group = _Group(typer.Typer(help="API keys that are kept in the database.", no_args_is_help=True), actions)
    cli.add_typer(group.typer, name="keys")
    _add_create(group)
    _add_list(group)
    _add_rotate(group)
    _add_revoke(group)


def _add_create(group: _Group) -> None:
    @group.typer.command("create", help="Make a key. It is shown once; what is stored is a digest.")
    def create(
        *,
        tenant: Annotated[
            str, typer.Option(metavar="NAME", help="Whose it is; only an operator's (--scope operator) has none.")
        ] = "",
        user: Annotated[
            str,
            typer.Option(metavar="ID", help="The user of the tenant who shall have it, from 'penstock users list'."),
        ] = "",
        label: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
        scope: Annotated[
            list[str] | None,
            typer.Option(metavar="inference|read|admin|operator", help="Repeatable; inference without it."),
        ] = None,
        model: Annotated[
            list[str] | None, typer.Option(metavar="NAME", help="Repeatable; every model without it.")
        ] = None,
        network: Annotated[
            list[str] | None,
            typer.Option(metavar="CIDR", help="Where it is accepted from; repeatable; anywhere without it."),
        ] = None,
        expires: Annotated[str | None, typer.Option(metavar="TIME", help="Such as 30d; never without it.")] = None,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        request = KeyRequest(
            tenant=tenant,
            user_id=user,
            label=label,
            scopes=frozenset(scope or ["inference"]),
            models=frozenset(model or []),
            networks=tuple(network or []),
            lifetime=read_duration(expires, "--expires") if expires else None,
        )
        with failures_told(as_json=as_json):
            key, record = group.actions.create(Selection(config, state), request)
            _show_created(key, record, as_json=as_json)


def _show_created(key: str, record: StoredKey, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": key, **msgspec.to_builtins(record)})
        return
    out = console()
    until = f", until {record.expires_at:%Y-%m-%d %H:%M} UTC" if record.expires_at else ""
    out.print(f"[bold]{key}[/]")
    owner = f"tenant {escape(record.tenant)}" if record.tenant else "an operator"
    out.print(f"Key {record.id} of {owner}{until}. It is not shown again.")


def _add_list(group: _Group) -> None:
    @group.typer.command("list", help="List the keys in the database; those of the configuration file are not in it.")
    def list_keys(
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            records = group.actions.list(Selection(config, state), tenant)
            now = datetime.now(UTC)
            if as_json:
                print_json([{**msgspec.to_builtins(record), "state": record.state(now)} for record in records])
            elif records:
                print_table(_TITLES, (_row(record, now) for record in records))
            else:
                console().print("No keys yet: make one with 'penstock keys create --tenant NAME'.")


def _row(record: StoredKey, now: datetime) -> Sequence[str]:
    return (
        record.id,
        escape(record.tenant) or "[dim]operator[/]",
        record.user_id,
        escape(record.label),
        " ".join(record.scopes),
        escape(" ".join(record.models)) or "all",
        " ".join(record.networks) or "any",
        _day(record.created_at),
        _day(record.expires_at) or "never",
        record.state(now),
    )


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""


def _add_rotate(group: _Group) -> None:
    @group.typer.command("rotate", help="Make a key that proves the same; the older one stays valid for the overlap.")
    def rotate(
        *,
        key_id: KeyArgument,
        overlap: Annotated[
            str, typer.Option(metavar="TIME", help="Such as 1h; 0s ends the older key at once.")
        ] = "24h",
        expires: Annotated[
            str | None,
            typer.Option(metavar="TIME", help="Such as 30d; without it, as long as the older key was made for."),
        ] = None,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        lifetime = read_duration(expires, "--expires") if expires else None
        with failures_told(as_json=as_json):
            key, record, previous = group.actions.rotate(
                Selection(config, state), key_id, read_duration(overlap, "--overlap"), lifetime
            )
            if as_json:
                print_json({"key": key, **msgspec.to_builtins(record), "previous": previous})
                return
            _show_created(key, record, as_json=False)
            console().print(f"Key {previous.id} stays valid until {previous.expires_at:%Y-%m-%d %H:%M:%S} UTC.")


def _add_revoke(group: _Group) -> None:
    @group.typer.command("revoke", help="Revoke a key by its id; a running stack refuses it within 5 s.")
    def revoke(
        *,
        key_id: KeyArgument,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            record = group.actions.revoke(Selection(config, state), key_id)
            if as_json:
                print_json({**msgspec.to_builtins(record), "revoked": True})
            else:
                console().print(f"Key {escape(key_id)} is revoked.")

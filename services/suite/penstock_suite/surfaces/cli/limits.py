"""`penstock limits explain`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.budgets import BindingRow, ExplainedRequest
from penstock_suite.domain.money import usd_text
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_TITLES = ("", "limit", "from", "of", "allows", "used", "reserved", "remaining", "resets")
_FIGURES = {"used", "reserved", "remaining"}
# What 'penstock keys create' prints: its id is no secret, and all that leaves this process.
_WHOLE_KEY = re.compile(r"[a-z]+_(?:[a-z]+_)?([0-9A-Za-z]{12})_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}")

# What else may leave it: an id of theirs, or of a key that the configuration names.
_KEY_ID = re.compile(r"[0-9A-Za-z]{1,32}|config-[A-Za-z0-9._-]+-[0-9]+")


def limits(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("Limits: which bind a request, and where they stand.")
    _add_explain(cli, opened)
    return cli


def _add_explain(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("explain", help="Show each limit that would bind a request; that which binds first stands first.")
    @administering(opened)
    def explain(
        ask: Ask,
        *,
        key_id: Annotated[
            str, typer.Argument(metavar="[KEY]", help="A key or its id, which says whose the request is.")
        ] = "",
        model: Annotated[str, typer.Option(metavar="NAME", help="The public model that is asked.")],
        tenant: Annotated[
            str, typer.Option(metavar="NAME", help="Without a key; also beside a key of the configuration.")
        ] = "",
        team: Annotated[str, typer.Option(metavar="NAME", help="Of the tenant.")] = "",
        user: Annotated[str, typer.Option(metavar="ID", help="Of the tenant, without a key.")] = "",
        feature: Annotated[str, typer.Option(metavar="NAME", help="What the request says that it is for.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        wanted = ExplainedRequest(
            key_id=_id_of(key_id), tenant=tenant, team=team, user_id=user, model=model, feature=feature
        )
        with failures_told(as_json=as_json):
            rows = ask(lambda administration: administration.explained_limits(wanted))
            if as_json:
                print_json(rows)
            elif rows:
                print_table(_TITLES, map(_row, rows), to_the_right=_FIGURES)
            else:
                note("Nothing limits it.")


def _id_of(key: str) -> str:
    """Return the id of a key; what is neither that nor an id may be somebody's secret, and is not told on."""
    whole = _WHOLE_KEY.fullmatch(key)
    if whole is None and key and _KEY_ID.fullmatch(key) is None:
        told = "a key that 'penstock keys create' printed is expected, its id, or config-TENANT-NUMBER of a key in the file"
        raise typer.BadParameter(told, param_hint="'KEY'")
    return whole[1] if whole else key


def _row(row: BindingRow) -> Sequence[str]:
    figures = (row.used, row.reserved, row.remaining)
    shown = [_figure(row, figure) for figure in figures]
    mark = "first" if row.binds_first else "shadow" if row.is_shadow else ""
    resets = f"{row.resets_at:%Y-%m-%d %H:%M:%S}" if row.resets_at else ""
    return (mark, *map(escape, (row.name, row.source, row.scope, row.allowance)), *shown, resets)


def _figure(row: BindingRow, figure: int | None) -> str:
    if figure is None:
        return "?"
    return usd_text(figure) if row.measure == "spend" else f"{figure:,}"

"""`penstock audit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.markup import escape

from penstock_suite.domain.audit import StoredEntry
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, failures_told, print_json
from penstock_suite.surfaces.cli.table import print_table

_TITLES = ("when, UTC", "who", "action", "tenant", "on", "from", "outcome", "details")

ListEntries = Callable[[Selection, str, int], list[StoredEntry]]


def add_audit(cli: typer.Typer, list_entries: ListEntries) -> None:
    """Add the command."""

    @cli.command("audit", help="Show who changed which tenant, user or key, the newest first.")
    def audit(
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="About this tenant only.")] = "",
        limit: Annotated[int, typer.Option(min=1, max=500, help="How many entries.")] = 50,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            entries = list_entries(Selection(config, state), tenant, limit)
            if as_json:
                print_json(entries)
            elif entries:
                print_table(_TITLES, map(_row, entries))
            else:
                console().print("Nothing was changed yet.")


def _row(entry: StoredEntry) -> Sequence[str]:
    return (
        f"{entry.occurred_at:%Y-%m-%d %H:%M:%S}",
        escape(f"{entry.actor_key_id} {entry.actor_user_id}".rstrip()),
        entry.action,
        escape(entry.tenant),
        escape(entry.target),
        entry.client_address,
        entry.outcome if entry.outcome == "ok" else f"[red]{entry.outcome}[/]",
        escape(" ".join(f"{name}={text}" for name, text in entry.details.items())),
    )

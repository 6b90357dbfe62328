"""`penstock audit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration, StoredEntry
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.exporting import ExportRows, add_audit_export
from penstock_suite.surfaces.cli.options import JsonOption, command, read_number
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_MOST_ENTRIES = 500
_TITLES = ("when, UTC", "who", "action", "tenant", "on", "from", "outcome", "details")


def audit(opened: OpenAdministration, export_rows: ExportRows) -> typer.Typer:
    """Return the command, and below it the export; ``export_rows`` writes a file."""
    cli = command()
    add_audit_export(cli, export_rows)

    @cli.callback(invoke_without_command=True, help="Show who changed which tenant, user or key, the newest first.")
    @administering(opened)
    def show(
        ask: Ask,
        context: typer.Context,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="About this tenant only.")] = "",
        limit: Annotated[str, typer.Option(metavar="N", help="How many entries, at most 500.")] = "50",
        as_json: JsonOption = False,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        count = read_number(limit, "--limit", _MOST_ENTRIES)
        with failures_told(as_json=as_json):
            entries = ask(lambda administration: administration.entries(tenant, count))
            if as_json:
                print_json(entries)
            elif entries:
                print_table(_TITLES, map(_row, entries))
            else:
                note("Nothing was changed yet.")

    return cli


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

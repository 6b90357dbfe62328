"""`penstock usage export` and `penstock audit export`: what each request cost, and who changed what, in a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from penstock_suite.domain.answers import Exported
from penstock_suite.domain.requests import ExportRequest, Exports, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, escape, failures_told, print_json

ShowRows = Callable[[str, int], None]
ExportRows = Callable[[Selection, ExportRequest, ShowRows], Exported]

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
LEDGER_HELP = """Write the ledger as JSON lines, CSV or Parquet: a request's tenant, model, tokens, prices and cost.

A running stack goes on. Rows that are in a file may be cut by 'retention' from then on; --new leaves out those that an
earlier export has taken.
"""
_AUDIT_HELP = """Write the audit log as JSON lines, CSV or Parquet: who changed which tenant, user or key.

A running stack goes on. Entries that are in a file may be cut by 'retention' from then on; --new leaves out those that
an earlier export has taken.
"""


def add_audit_export(cli: typer.Typer, export_rows: ExportRows) -> None:
    """Add the export of the audit log to its group."""
    add_export(cli, export_rows, Exports.AUDIT_LOG, _AUDIT_HELP)


def add_export(cli: typer.Typer, export_rows: ExportRows, what: Exports, about: str) -> None:
    """Add an export to a group."""

    @cli.command("export", help=about)
    def export(
        *,
        to: Annotated[
            Path, typer.Option("--to", metavar="FILE", help="A new file; its name ends with .jsonl, .csv or .parquet.")
        ],
        since: Annotated[
            datetime | None,
            typer.Option(formats=_FORMATS, metavar="TIME", help="From this time on, UTC; else from the oldest."),
        ] = None,
        until: Annotated[
            datetime | None,
            typer.Option(formats=_FORMATS, metavar="TIME", help="Before this time, UTC; else to the newest."),
        ] = None,
        new: Annotated[bool, typer.Option("--new", help="Only what no export has taken before.")] = False,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        wanted = ExportRequest(what, to, _in_utc(since), _in_utc(until), new)
        with failures_told(as_json=as_json):
            done = export_rows(Selection(config, state), wanted, lambda _table, _rows: None)
            print_json(done) if as_json else console().print(f"{escape(done.file)}: {done.rows:,} rows.")


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)

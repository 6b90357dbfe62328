"""`penstock prices list|history`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.ledger import PriceRow
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, print_json, print_table

_HELP = """What models cost, and cost before, in USD per million tokens.

Kept by gateways as they start, and as they take another configuration over. A row of the ledger names the revision that
it was billed by.
"""
_TITLES = ("model", "since", "input", "cached", "written", "for 1 h", "output", "revision")
_TO_THE_RIGHT = {"input", "cached", "written", "for 1 h", "output"}
_NANO = 1_000_000_000

UpstreamOption = Annotated[str, typer.Option(metavar="UPSTREAM", help="Else of every upstream.")]
ModelOption = Annotated[str, typer.Option(metavar="MODEL", help="As the upstream calls it; else every model.")]


def prices(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    _add(cli, opened, "list", "List what models cost now.", current_only=True)
    _add(cli, opened, "history", "List what models cost, from when on, the oldest first.", current_only=False)
    return cli


def _add(cli: typer.Typer, opened: OpenAdministration, name: str, about: str, *, current_only: bool) -> None:
    @cli.command(name, help=about)
    @administering(opened)
    def command(
        ask: Ask, *, upstream: UpstreamOption = "", model: ModelOption = "", as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            rows = ask(lambda asked: asked.price_revisions(upstream, model, current_only=current_only))
            if as_json:
                print_json(rows)
            else:
                print_table(_TITLES, map(_row, rows), to_the_right=_TO_THE_RIGHT)


def _row(row: PriceRow) -> Sequence[str]:
    tier = f" at {row.tier}" if row.tier else ""
    above = f" above {row.above_input_tokens:,} tokens" if row.above_input_tokens else ""
    amounts = (
        row.input_nano_usd,
        row.cached_input_nano_usd,
        row.cache_write_nano_usd,
        row.cache_write_1h_nano_usd,
        row.output_nano_usd,
    )
    return (
        escape(f"{row.upstream}/{row.model}{tier}{above}"),
        f"{row.effective_at:%Y-%m-%d %H:%M:%S}",
        *(["unknown"] * len(amounts) if row.is_unknown else map(_usd, amounts)),
        row.revision,
    )


def _usd(nano_usd: int) -> str:
    return f"{(Decimal(nano_usd) / _NANO).normalize():f}"

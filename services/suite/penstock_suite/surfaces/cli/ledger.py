"""`penstock ledger correct|drift|rebuild`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.ledger import DriftRow, RightAmounts
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = "The ledger: correcting it by entries of its own, and the counters of spend beside it."
_NANO = 1_000_000_000
_TITLES = ("tenant", "scope", "limit", "since", "counted", "ledger", "drift", "reserved")
_TO_THE_RIGHT = {"counted", "ledger", "drift", "reserved"}
_CORRECT_HELP = """Say what a request should have come to: the difference becomes an entry.

What was written stays as it is. The entry counts in the period in which it is made; with tokens and no --cost it has what
they cost at the request's own prices.
"""
_REBUILD_HELP = """Have the counters of a tenant's spend be what the ledger says, be it less.

Requests go on meanwhile, and keep what they have reserved. Nothing else ever lowers a counter, such as a restored backup.
"""

TokensOption = Annotated[int | None, typer.Option(min=0, metavar="N")]


def ledger(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    _add_correct(cli, opened)
    _add_drift(cli, opened)
    _add_rebuild(cli, opened)
    return cli


def _add_correct(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("correct", help=_CORRECT_HELP)
    @administering(opened)
    def correct(
        ask: Ask,
        *,
        generation: Annotated[str, typer.Option(metavar="ID", help="The request's generation id.")],
        reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the ledger and the audit log.")],
        cost: Annotated[str | None, typer.Option(metavar="USD", help="What it should have cost in all.")] = None,
        input_tokens: TokensOption = None,
        output_tokens: TokensOption = None,
        cached_input_tokens: TokensOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            right = RightAmounts(
                cost_nano_usd=None if cost is None else _nano_usd(cost),
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cached_input_tokens=cached_input_tokens,
            )
            made = ask(lambda administration: administration.correct_entry(generation, right, reason))
            if as_json:
                print_json(made)
            else:
                note(f"{made.id} adds {_usd(made.cost_nano_usd)} to what {made.corrects} of '{made.tenant}' came to.")


def _add_drift(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("drift", help="Show the counters of spend beside the ledger, in their periods that are now.")
    @administering(opened)
    def drift(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="TENANT", help="Else of all.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            _show(ask(lambda administration: administration.drift(tenant)), as_json=as_json)


def _add_rebuild(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("rebuild", help=_REBUILD_HELP)
    @administering(opened)
    def rebuild(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="TENANT", help="Whose.")],
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            before = ask(lambda administration: administration.rebuild_counters(tenant))
            if not as_json:
                note(f"{len(before)} counters of '{tenant}' are what the ledger says. They were:")
            _show(before, as_json=as_json)


def _show(rows: Sequence[DriftRow], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(_TITLES, map(_row, rows), to_the_right=_TO_THE_RIGHT)


def _row(row: DriftRow) -> Sequence[str]:
    drift = _usd(row.drift_nano_usd)
    return (
        escape(row.tenant),
        escape(row.scope),
        escape(row.limit),
        "ever" if row.period_start is None else f"{row.period_start:%Y-%m-%d %H:%M}",
        _usd(row.counter_nano_usd),
        _usd(row.ledger_nano_usd),
        f"[red]{drift}[/]" if row.drift_nano_usd else drift,
        _usd(row.reserved_nano_usd),
    )


def _usd(nano_usd: int) -> str:
    """Return dollars to the nano-dollar, as no sum is ever rounded."""
    return f"{'-' if nano_usd < 0 else ''}${Decimal(abs(nano_usd)) / _NANO:.9f}"


def _nano_usd(text: str) -> int:
    try:
        nano_usd = Decimal(text) * _NANO
    except InvalidOperation:
        nano_usd = Decimal("NaN")
    if not nano_usd.is_finite() or nano_usd != nano_usd.to_integral_value():
        raise Misconfigured(f"--cost is dollars with nine decimals at most, such as 0.0125, and not '{text}'")
    return int(nano_usd)

"""`penstock rehearse`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode
from penstock_suite.domain.requests import RehearseRequest, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, command, read_duration
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json

if TYPE_CHECKING:
    from penstock_suite.domain.rehearsal import Rehearsed

_HELP = """Rehearse every failure of an upstream against a configuration, and print what a caller would have seen.

Scripted upstreams stand in the place of the real ones: nobody is asked, nothing is paid, no key is needed. Exit code 1
unless every row is as docs/rehearsing.md promises.
"""

ShowRow = Callable[["Rehearsed"], None]
Rehearse = Callable[[RehearseRequest, ShowRow], None]


def rehearse(run: Rehearse) -> typer.Typer:
    """Return the command; ``run`` tells each row once it is over."""
    cli = command()

    @cli.command("rehearse", help=_HELP)
    def start(
        *,
        config: ConfigOption = None,
        only: Annotated[
            list[str] | None,
            typer.Option(
                "--only", metavar="ROW", help="A row, by its number, its name or both, as 8-cut-reset; repeatable."
            ),
        ] = None,
        model: Annotated[
            str, typer.Option(metavar="NAME", help="A public model; without it, the first that has two candidates.")
        ] = "",
        timers: Annotated[
            str,
            typer.Option(metavar="TIME", help="Cut the upstreams' timers to this, to wait less; else your own hold."),
        ] = "",
        as_json: JsonOption = False,
    ) -> None:
        cut = read_duration(timers, "--timers") if timers else None
        if cut is not None and not cut:
            raise typer.BadParameter("a time longer than 0s is expected", param_hint="'--timers'")
        request = RehearseRequest(Selection(config), tuple(only or ()), model, cut)
        rows: list[Rehearsed] = []
        with failures_told(as_json=as_json):
            run(request, _noted(rows, as_json=as_json))
            is_good = all(row.is_good for row in rows)
            if as_json:
                print_json({"ok": is_good, "rows": rows})
            else:
                _show_sum(rows)
            if not is_good:
                raise typer.Exit(ExitCode.FAILED)

    return cli


def _noted(rows: list[Rehearsed], *, as_json: bool) -> ShowRow:
    def show(row: Rehearsed) -> None:
        if not as_json:
            _show(row, is_new=not rows or rows[-1].row != row.row)
        rows.append(row)

    return show


def _show(row: Rehearsed, *, is_new: bool) -> None:
    out = console()
    if is_new:
        out.print(f"[bold]{escape(row.row)}[/]  {escape(row.did)}")
    if row.skipped:
        out.print(f"  [dim]-[/] {row.mode:<9} [dim]{escape(row.skipped)}[/]")
        return
    mark = "[green]✓[/]" if row.is_good else "[bold red]✗[/]"
    asked = ", ".join(f"{candidate} {count}" for candidate, count in row.attempts.items())
    out.print(f"  {mark} {row.mode:<9} {escape(row.sees)}  [dim]{escape(asked)}  {row.seconds:.1f} s[/]")
    for fault in row.faults:
        out.print(f"    [red]{escape(fault)}[/]")


def _show_sum(rows: list[Rehearsed]) -> None:
    asked = [row for row in rows if not row.skipped]
    good, skipped = sum(row.is_good for row in asked), len(rows) - len(asked)
    model = asked[0].model if asked else ""
    note(f"{model}: {good} of {len(asked)} as promised" + (f", {skipped} skipped" if skipped else ""))

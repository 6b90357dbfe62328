"""`penstock config reload`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure
from penstock_suite.domain.reload import Outcome, Reload
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli.options import JsonOption, StateOption, read_duration
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json

if TYPE_CHECKING:
    from rich.console import Console

ReloadStack = Callable[[Selection, timedelta], Reload]

_HELP = """Have the running stack take its configuration over as the file is now, whole or not at all.

Exit code 2 where it cannot be used or changes what needs a restart: then everything runs on as it was. 5 where no stack
runs. A role that is a process of its own reloads on SIGHUP.
"""
_EXIT_CODES = {
    Outcome.APPLIED: ExitCode.DONE,
    Outcome.REFUSED: ExitCode.MISCONFIGURED,
    Outcome.PARTIAL: ExitCode.FAILED,
}


def add_reload(cli: typer.Typer, reload_stack: ReloadStack) -> None:
    """Add the command to the group; ``reload_stack`` returns what became of the reload."""

    @cli.command("reload", help=_HELP)
    def reload(
        *,
        state: StateOption = None,
        patience: Annotated[
            str, typer.Option("--wait", metavar="TIME", help="How long to wait for the outcome.")
        ] = "60s",
        as_json: JsonOption = False,
    ) -> None:
        waiting = read_duration(patience, "--wait")
        with failures_told(as_json=as_json):
            outcome = reload_stack(Selection(state=state), waiting)
            if as_json:
                print_json(outcome)
                raise typer.Exit(_EXIT_CODES[outcome.outcome])
            if outcome.outcome is Outcome.REFUSED:
                note(f"revision {outcome.revision_before} runs on; the file was refused:")
                raise Misconfigured(*outcome.faults)
            show_reload(console(), outcome)
            for warning in outcome.warnings:
                note(f"warning: {warning}")
            if problems := [process for process in outcome.processes if process.problem]:
                told = "; ".join(f"{process.name}: {process.problem}" for process in problems)
                raise SuiteFailure(f"not every process runs it: {told}")


def show_reload(out: Console, outcome: Reload) -> None:
    """Write what a reload has changed, by name."""
    out.print(f"revision {outcome.revision_before} -> {outcome.revision}{_in_processes(outcome)}")
    if not (outcome.added or outcome.removed or outcome.changed):
        out.print("  nothing that is in effect is other than before")
    for mark, names in (("+", outcome.added), ("-", outcome.removed), ("~", outcome.changed)):
        for name in names:
            out.print(f"  {mark} {escape(name)}")


def _in_processes(outcome: Reload) -> str:
    taken_over = sum(not process.problem for process in outcome.processes)
    return f", in {taken_over} processes" if taken_over > 1 else ""

"""`penstock status`."""

from __future__ import annotations

from collections.abc import Callable

import typer
from rich.console import Console
from rich.markup import escape

from penstock_suite.domain.failure import ExitCode
from penstock_suite.domain.requests import Selection
from penstock_suite.domain.run_record import StackStatus
from penstock_suite.surfaces.cli.options import JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, failures_told, print_json

AskStatus = Callable[[Selection], StackStatus]


def add_status(cli: typer.Typer, ask_status: AskStatus) -> None:
    """Add the command; ``ask_status`` asks the stack that runs on a state folder."""

    @cli.command("status", help="Ask the running stack how it is; exit code 1 unless it is ready.")
    def status(*, state: StateOption = None, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            answer = ask_status(Selection(state=state))
            if as_json:
                print_json(answer)
            else:
                _show(console(), answer)
            if not answer.ready:
                raise typer.Exit(ExitCode.FAILED)


def _show(out: Console, status: StackStatus) -> None:
    mark = "[bold green]ready[/]" if status.ready else "[bold red]not ready[/]"
    out.print(f"Penstock is {mark}, since {status.started_at}")
    out.print(f"  HTTP   {escape(status.http)}  {status.http_status}")
    out.print(f"  gRPC   {escape(status.grpc)}  {status.grpc_status}")
    out.print(f"  state  {escape(status.state)}")
    if status.config:
        out.print(f"  config {escape(status.config)}")
    for part in status.parts:
        out.print(f"  {part.name:<8} pid {part.pid}  {'running' if part.running else '[red]gone[/]'}")

"""`penstock up`, and how it shows its progress: live in a terminal, lines in a pipe, JSON lines for programs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.progress import Draining, Event, Lost, Prepared, Preparing, Ready, Serving, Show, Stopped
from penstock_suite.domain.reload import Outcome, Reload
from penstock_suite.domain.requests import Selection, UpRequest
from penstock_suite.surfaces.cli.options import (
    ConfigOption,
    JsonOption,
    StateOption,
    WithoutTritonOption,
    command,
    read_duration,
    read_number,
)
from penstock_suite.surfaces.cli.output import console, escape, failures_told, print_json
from penstock_suite.surfaces.cli.reload import show_reload

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

MAX_WORKERS = 64

_TITLES = {"redis": "Redis", "triton": "Triton", "edge": "the edge", "services": "the services"}

RunStack = Callable[[UpRequest, Show], None]


def up(run_stack: RunStack) -> typer.Typer:
    """Return the command; ``run_stack`` returns when the stack has ended."""
    cli = command()

    @cli.command(
        "up",
        help="Start the whole stack on this machine and run it until Ctrl-C. "
        "A second Ctrl-C does not wait for requests in flight.",
    )
    def start(
        *,
        config: ConfigOption = None,
        state: StateOption = None,
        without_triton: WithoutTritonOption = False,
        grace: Annotated[str, typer.Option(metavar="TIME", help="For requests in flight at the end.")] = "30s",
        workers: Annotated[
            str,
            typer.Option(metavar="N", help="Processes that answer requests, such as one for each core; at most 64."),
        ] = "1",
        as_json: JsonOption = False,
    ) -> None:
        count = read_number(workers, "--workers", MAX_WORKERS)
        request = UpRequest(Selection(config, state, without_triton), read_duration(grace, "--grace"), count)
        with failures_told(as_json=as_json), showing(as_json=as_json) as show:
            run_stack(request, show)

    return cli


@contextmanager
def showing(*, as_json: bool) -> Generator[Show]:
    """Yield what the stack tells its progress to."""
    if as_json:
        yield print_json
        return
    out = console()
    lines = _Lines(out)
    if not out.is_terminal:
        yield lines.show
        return
    with out.status("starting") as status:
        yield _Live(lines, status).show


class _Lines:
    """A line for each thing that has happened."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def show(self, event: Event) -> None:
        match event:
            case Preparing():
                if not self._out.is_terminal:
                    self._out.print(f"starting {_title(event.part)}")
            case Prepared():
                self._out.print(f"[green]✓[/] {escape(_title(event.part))} [dim]({event.seconds:.1f} s)[/]")
            case Ready():
                self._show_ready(event)
            case Serving():
                self._out.print(
                    f"[bold green]{escape(event.role)} is ready[/] after {event.seconds:.1f} s: {escape(event.listen)}"
                )
            case Lost():
                self._out.print(f"[yellow]![/] {escape(event.message)}; the stack goes on without it")
            case Reload():
                self._show_reload(event)
            case Draining():
                self._out.print(f"stopping; requests in flight have {event.grace_seconds:g} s")
            case Stopped():
                self._out.print("stopped at once" if event.at_once else "stopped")

    def _show_reload(self, reload: Reload) -> None:
        if reload.outcome is Outcome.REFUSED:
            self._out.print(f"[yellow]![/] revision {reload.revision_before} runs on; the file was refused:")
            for fault in reload.faults:
                self._out.print(f"  {escape(fault)}")
            return
        show_reload(self._out, reload)
        for process in reload.processes:
            if process.problem:
                self._out.print(f"[yellow]![/] {escape(process.name)}: {escape(process.problem)}")

    def _show_ready(self, ready: Ready) -> None:
        """Write five lines: where it is, the key, what to try, how it caches, where to read on."""
        key = ready.key or "one of the configuration's tenants; 'penstock keys create --tenant NAME' makes more"
        self._out.print(
            f"[bold green]Penstock is ready[/] after {ready.seconds:.1f} s: {escape(ready.http)}, gRPC {escape(ready.grpc)}"
        )
        self._out.print(f"  key   {escape(key)}")
        self._out.print(f"  try   {escape(ready.curl)}")
        self._out.print(f"  cache {escape(ready.cache)}")
        self._out.print(f"  docs  {escape(ready.docs)}")


class _Live:
    """The same lines, above a spinner that names what is being waited for."""

    def __init__(self, lines: _Lines, status: Status) -> None:
        self._lines = lines
        self._status = status
        self._waiting: dict[str, None] = {}

    def show(self, event: Event) -> None:
        match event:
            case Preparing():
                self._waiting[event.part] = None
            case Prepared():
                self._waiting.pop(event.part, None)
            case Ready() | Serving():
                self._status.stop()
            case _:
                pass
        self._lines.show(event)
        if self._waiting:
            self._status.update("starting " + ", ".join(_title(part) for part in self._waiting))


def _title(part: str) -> str:
    return _TITLES.get(part, part)

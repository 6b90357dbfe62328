"""How `penstock up` shows its progress: live in a terminal, lines in a pipe, JSON lines for programs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from penstock_suite.domain.progress import Draining, Event, Lost, Prepared, Preparing, Ready, Serving, Show, Stopped
from penstock_suite.surfaces.cli.output import console, print_json

_TITLES = {"redis": "Redis", "triton": "Triton", "edge": "the edge", "services": "the services"}


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
            case Draining():
                self._out.print(f"stopping; requests in flight have {event.grace_seconds:g} s")
            case Stopped():
                self._out.print("stopped at once" if event.at_once else "stopped")

    def _show_ready(self, ready: Ready) -> None:
        key = f", key {ready.key}" if ready.key else ""
        # One line for whoever waits for it; a person copies the command from a line of its own.
        before_curl = "\n" if self._out.is_terminal else " "
        self._out.print(
            f"[bold green]Penstock is ready[/] after {ready.seconds:.1f} s: {escape(ready.http)}, "
            f"gRPC {escape(ready.grpc)}{escape(key)}. Try:{before_curl}{escape(ready.curl)}"
        )


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

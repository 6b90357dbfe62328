"""The `penstock` command: a list of commands, of which only the one that is asked for is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from penstock_suite import __version__

_HELP = """Takes an LLM application to production.

Exit codes: 0 done, 1 failed, 2 wrong configuration or options, 3 no such tenant, user, key, model, upstream or document,
4 refused, 5 nobody answers, 6 done, but for some that were left out.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, or a group of them."""

    name: str
    about: str
    """What stands beside its name in the list."""
    load: Callable[[], typer.Typer]
    hidden: bool = False


def command_line(entries: Sequence[Entry]) -> typer.Typer:
    """Return the command line."""
    cli = typer.Typer(
        name="penstock",
        cls=_listing(entries),
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        # Rich's help would take longer to load than everything else.
        rich_markup_mode=None,
    )

    @cli.callback()
    def penstock(
        *,
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
        ] = False,
    ) -> None:
        del version

    for entry in entries:
        cli.command(entry.name, short_help=entry.about, hidden=entry.hidden)(lambda: None)
    return cli


def _listing(entries: Sequence[Entry]) -> type[TyperGroup]:
    """Return a group whose commands are names with a line of help until one is called."""
    load = {entry.name: entry.load for entry in entries}

    class Listing(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, command, rest = super().resolve_command(ctx, args)
            if name is not None and name in load:
                command = get_command(load[name]())
                command.name = name
            return name, command, rest

    return Listing


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit

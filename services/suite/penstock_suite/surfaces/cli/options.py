"""Options that several commands share, and how their groups are made."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="PENSTOCK_CONFIG",
        help="The configuration; without it, a packaged one with a demo model.",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="The one folder with everything a stack keeps; "
        "$PENSTOCK_STATE_DIR, else .state where there is one, else ~/.local/state/penstock.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
WithoutTritonOption = Annotated[
    bool, typer.Option("--without-triton", help="Leave out the local Triton and the models that only it serves.")
]
AddressOption = Annotated[str, typer.Option(metavar="HOST:PORT", help="A gateway's gRPC address.")]
OperatorKeyOption = Annotated[
    str, typer.Option(envvar="PENSTOCK_OPERATOR_KEY", help="An operator's key, beside --address.")
]
CaOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Who proves the gateway, where it has TLS.")]


def command() -> typer.Typer:
    """Return what takes one command."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def group(about: str) -> typer.Typer:
    """Return what takes the commands of a group."""
    made = typer.Typer(help=about, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    # With a callback it is a group, also of one command.
    made.callback()(lambda: None)
    return made


def read_duration(text: str, option: str) -> timedelta:
    """Return the duration that ``option`` was given.

    Raises:
        typer.BadParameter: if it is written in another way.
    """
    # What it comes with takes longer to load than most commands to run.
    from penstock_common.configuration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from None

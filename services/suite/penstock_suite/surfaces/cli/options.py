"""Options that several commands share."""

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

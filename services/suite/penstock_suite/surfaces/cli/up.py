"""`penstock up`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from penstock_suite.domain.progress import Show
from penstock_suite.domain.requests import Selection, UpRequest
from penstock_suite.surfaces.cli.options import (
    ConfigOption,
    JsonOption,
    StateOption,
    WithoutTritonOption,
    read_duration,
)
from penstock_suite.surfaces.cli.output import failures_told
from penstock_suite.surfaces.cli.up_progress import showing

MAX_WORKERS = 64

RunStack = Callable[[UpRequest, Show], None]


def add_up(cli: typer.Typer, run_stack: RunStack) -> None:
    """Add the command; ``run_stack`` returns when the stack has ended."""

    @cli.command(
        "up",
        help="Start the whole stack on this machine and run it until Ctrl-C. "
        "A second Ctrl-C does not wait for requests in flight.",
    )
    def up(
        *,
        config: ConfigOption = None,
        state: StateOption = None,
        without_triton: WithoutTritonOption = False,
        grace: Annotated[str, typer.Option(metavar="TIME", help="For requests in flight at the end.")] = "30s",
        workers: Annotated[
            int,
            typer.Option(
                metavar="N", min=1, max=MAX_WORKERS, help="Processes that answer requests, such as one for each core."
            ),
        ] = 1,
        as_json: JsonOption = False,
    ) -> None:
        request = UpRequest(Selection(config, state, without_triton), read_duration(grace, "--grace"), workers)
        with failures_told(as_json=as_json), showing(as_json=as_json) as show:
            run_stack(request, show)

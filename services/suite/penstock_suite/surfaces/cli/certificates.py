"""`penstock certificates`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from penstock_suite.surfaces.cli.options import JsonOption, read_duration
from penstock_suite.surfaces.cli.output import console, failures_told, print_json

ProvideCertificates = Callable[[Path, list[str], timedelta], list[str]]


def add_certificates(cli: typer.Typer, provide: ProvideCertificates) -> None:
    """Add the command; ``provide`` returns the hosts whose certificates had to be made."""

    @cli.command(
        "certificates",
        help="Keep an authority in FOLDER, and a certificate of it in FOLDER/HOST for each host, for a deployment "
        "that has no authority of its own. One that still lasts 30 days stays.",
    )
    def certificates(
        *,
        folder: Annotated[Path, typer.Argument(metavar="FOLDER")],
        hosts: Annotated[list[str], typer.Argument(metavar="HOST…")],
        life: Annotated[str, typer.Option(metavar="TIME", help="How long each is good for.")] = "365d",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            made = provide(folder, hosts, read_duration(life, "--life"))
            if as_json:
                print_json({"folder": str(folder), "made": made})
            else:
                console().print(f"made for {', '.join(made)}" if made else "all of them last")

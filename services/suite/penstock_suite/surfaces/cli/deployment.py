"""What a deployment checks and runs: `penstock serve`, `worker`, `health`, `db` and `certificates`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Show
from penstock_suite.domain.requests import Role, ServeRequest
from penstock_suite.surfaces.cli.options import (
    JsonOption,
    command,
    group,
    read_choice,
    read_duration,
)
from penstock_suite.surfaces.cli.output import console, failures_told, print_json
from penstock_suite.surfaces.cli.up import showing

_RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help=", ".join(Role))]
_ConfigOption = Annotated[
    Path, typer.Option("--config", metavar="FILE", envvar="PENSTOCK_CONFIG", help="The one configuration of all roles.")
]


def serve(run_role: Callable[[ServeRequest, Show], None]) -> typer.Typer:
    """Return the command; ``run_role`` returns when the role was asked to end."""
    cli = command()

    @cli.command("serve", help="Run one role as a process of its own until SIGTERM; a second one does not wait.")
    def start(
        *,
        role: _RoleArgument,
        config: _ConfigOption,
        grace: Annotated[str, typer.Option(metavar="TIME", help="For calls in flight at the end.")] = "30s",
        as_json: JsonOption = False,
    ) -> None:
        request = ServeRequest(read_choice(role, "ROLE", Role), config, read_duration(grace, "--grace"))
        with failures_told(as_json=as_json), showing(as_json=as_json) as show:
            run_role(request, show)

    return cli


def worker(run_worker: Callable[[Path, Show], None]) -> typer.Typer:
    """Return the command; ``run_worker`` returns when the worker was asked to end."""
    cli = command()

    @cli.command("worker", hidden=True, help="Run a worker of `penstock up --workers`, which starts it.")
    def start(*, plan: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
        with failures_told(as_json=True), showing(as_json=True) as show:
            run_worker(plan, show)

    return cli


def health(health_of: Callable[[Role, Path], str]) -> typer.Typer:
    """Return the command; ``health_of`` returns what the role says of itself."""
    cli = command()

    @cli.command("health", help="Ask a role on this machine whether it serves; exit code 1 if not. For health checks.")
    def ask(*, role: _RoleArgument, config: _ConfigOption, as_json: JsonOption = False) -> None:
        asked = read_choice(role, "ROLE", Role)
        with failures_told(as_json=as_json):
            status = health_of(asked, config)
            if status != "SERVING":
                raise SuiteFailure(f"{role} is {status}")
            print_json({"role": role, "status": status}) if as_json else console().print(f"{role} is {status}")

    return cli


def database(upgrade_database: Callable[[Path], None]) -> typer.Typer:
    """Return the commands."""
    cli = group("The database of keys and the ledger.")

    @cli.command("upgrade", help="Bring the schema to the newest version; `penstock up` does it by itself.")
    def upgrade(*, config: _ConfigOption, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            upgrade_database(config)
            print_json({"event": "upgraded"}) if as_json else console().print("the schema is current")

    return cli


def certificates(provide: Callable[[Path, list[str], timedelta], list[str]]) -> typer.Typer:
    """Return the command; ``provide`` returns the hosts whose certificates had to be made."""
    cli = command()

    @cli.command(
        "certificates",
        help="Keep an authority in FOLDER, and a certificate of it in FOLDER/HOST for each host, for a deployment "
        "that has no authority of its own. One that still lasts 30 days stays.",
    )
    def keep(
        *,
        folder: Annotated[Path, typer.Argument(metavar="FOLDER")],
        hosts: Annotated[list[str], typer.Argument(metavar="HOST…")],
        life: Annotated[str, typer.Option(metavar="TIME", help="How long each is good for.")] = "365d",
        as_json: JsonOption = False,
    ) -> None:
        lasting = read_duration(life, "--life")
        with failures_told(as_json=as_json):
            made = provide(folder, hosts, lasting)
            if as_json:
                print_json({"folder": str(folder), "made": made})
            else:
                console().print(f"made for {', '.join(made)}" if made else "all of them last")

    return cli

"""`penstock serve`, `penstock health` and `penstock db`: what a deployment runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

import typer

from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Show
from penstock_suite.domain.requests import Role, ServeRequest
from penstock_suite.surfaces.cli.options import JsonOption, read_duration
from penstock_suite.surfaces.cli.output import console, failures_told, print_json
from penstock_suite.surfaces.cli.up_progress import showing

_RoleArgument = Annotated[Role, typer.Argument(metavar="ROLE", help=", ".join(Role))]
_ConfigOption = Annotated[
    Path, typer.Option("--config", metavar="FILE", envvar="PENSTOCK_CONFIG", help="The one configuration of all roles.")
]


class RoleActions(Protocol):
    """What the commands do."""

    def serve(self, request: ServeRequest, show: Show) -> None:
        """Run a role until it is asked to end."""
        ...

    def work(self, plan: Path, show: Show) -> None:
        """Run a worker of a local stack until it is asked to end."""
        ...

    def health(self, role: Role, config: Path) -> str:
        """Return what the role says of itself."""
        ...

    def upgrade_database(self, config: Path) -> None:
        """Bring the schema to the newest version."""
        ...


def add_serve(cli: typer.Typer, actions: RoleActions) -> None:
    """Add the commands."""

    @cli.command("serve", help="Run one role as a process of its own until SIGTERM; a second one does not wait.")
    def serve(
        *,
        role: _RoleArgument,
        config: _ConfigOption,
        grace: Annotated[str, typer.Option(metavar="TIME", help="For calls in flight at the end.")] = "30s",
        as_json: JsonOption = False,
    ) -> None:
        request = ServeRequest(role, config, read_duration(grace, "--grace"))
        with failures_told(as_json=as_json), showing(as_json=as_json) as show:
            actions.serve(request, show)

    @cli.command("worker", hidden=True, help="Run a worker of `penstock up --workers`, which starts it.")
    def worker(*, plan: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
        with failures_told(as_json=True), showing(as_json=True) as show:
            actions.work(plan, show)

    @cli.command("health", help="Ask a role on this machine whether it serves; exit code 1 if not. For health checks.")
    def health(*, role: _RoleArgument, config: _ConfigOption, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            status = actions.health(role, config)
            if status != "SERVING":
                raise SuiteFailure(f"{role} is {status}")
            print_json({"role": role, "status": status}) if as_json else console().print(f"{role} is {status}")

    database = typer.Typer(help="The database of keys and the ledger.", no_args_is_help=True)
    cli.add_typer(database, name="db")

    @database.command("upgrade", help="Bring the schema to the newest version; `penstock up` does it by itself.")
    def upgrade(*, config: _ConfigOption, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            actions.upgrade_database(config)
            print_json({"event": "upgraded"}) if as_json else console().print("the schema is current")

    @database.callback()
    def db() -> None:
        pass

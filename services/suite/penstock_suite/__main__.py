"""The `penstock` command: which commands there are, and what does their work.

Each loads what it needs when it runs: gRPC, SQL and the services take seconds to load, which `--help` should not cost.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TYPE_CHECKING

from penstock_suite.surfaces.cli.application import Entry, command_line
from penstock_suite.surfaces.cli.groups import ADMINISTERED, COMPOSED
from penstock_suite.surfaces.cli.output import run

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    import typer

    from penstock_suite.domain.administration import Administration
    from penstock_suite.domain.answers import BackedUp, Exported, GatewayReport, ModelSheet, Restored
    from penstock_suite.domain.example import Examples
    from penstock_suite.domain.importing.deployment import Imported
    from penstock_suite.domain.progress import Show
    from penstock_suite.domain.reload import Reload
    from penstock_suite.domain.requests import (
        Administered,
        ChatTarget,
        ExportRequest,
        GatewayTarget,
        PlayRequest,
        ProxyRequest,
        RehearseRequest,
        Role,
        Selection,
        ServeRequest,
        UpRequest,
    )
    from penstock_suite.domain.run_record import StackStatus
    from penstock_suite.domain.verdict import Verdict
    from penstock_suite.surfaces.cli.backup import ShowRows
    from penstock_suite.surfaces.cli.chat import Conversation
    from penstock_suite.surfaces.cli.models import Models


def main() -> None:
    """Run the command line."""
    # Modules are garbage to nobody, and looking them through while they load costs a tenth of a start.
    gc.set_threshold(100_000)
    # Read when gRPC is loaded. We never fork without exec, and its warnings about that belong in no terminal.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Pydantic's would be looked for in every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    entries: Sequence[Entry] = (
        Entry("up", "Start the whole stack on this machine and run it until Ctrl-C.", _up),
        Entry("status", "Ask the running stack how it is.", _status),
        Entry("chat", "Ask a model and watch it answer.", _chat),
        Entry("route", "Which model answers which prompt, and why.", _route),
        Entry("router", "The router's classifier: training it on prompts of your own.", _router),
        *(Entry(name, about, _asking(name)) for name, about in ADMINISTERED.items()),
        *(Entry(name, about, _asking(name, "app")) for name, about in COMPOSED.items()),
        Entry("audit", "Show who changed which tenant, user or key, the newest first.", _audit),
        Entry("models", "Models: which are ready, (un)loading those of a Triton; what is known of each.", _models),
        Entry(
            "upstreams",
            "Upstreams as requests meet them: who is left out and why; leaving one out.",
            _asking("upstreams"),
        ),
        Entry("config", "The configuration file.", _config),
        Entry("rehearse", "Rehearse every failure of an upstream against a configuration.", _rehearse),
        Entry("eval", "Judge parts of the stack by datasets.", _evaluate),
        Entry("guard", "What guardrails find in a text, and why.", _guard),
        Entry("faults", "Upstreams and networks that fail as they are told, to rehearse with.", _faults),
        Entry("serve", "Run one role as a process of its own until SIGTERM.", _serve),
        Entry("worker", "Run a worker of `penstock up --workers`, which starts it.", _worker, hidden=True),
        Entry("health", "Ask a role on this machine whether it serves.", _health),
        Entry("db", "The database of keys and the ledger.", _database),
        Entry("backup", "Copy the database, as it is at one moment, into one file.", _backup),
        Entry("restore", "Fill the database from a file of 'penstock backup'.", _restore),
        Entry("certificates", "Keep an authority, and a certificate of it for each host.", _certificates),
        Entry("completion", "Print a script that completes commands and options in a shell.", _completion),
        Entry("complete", "Print what may stand in the place of a word.", lambda: _complete(entries), hidden=True),
    )
    command_line(entries)(prog_name="penstock")


def _hold_hang_ups() -> None:
    """Have a SIGHUP wait until the process can hear it, where it would end one that still starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))


def _up() -> typer.Typer:
    from penstock_suite.surfaces.cli.up import up

    def run_stack(request: UpRequest, show: Show) -> None:
        began = time.monotonic()
        _hold_hang_ups()
        from penstock_suite.app.up import up

        run(up(request, show, began))

    return up(run_stack)


def _status() -> typer.Typer:
    from penstock_suite.surfaces.cli.status import status

    def of_stack(selection: Selection) -> StackStatus:
        from penstock_suite.app.running_stack import stack_status

        return run(stack_status(selection))

    def of_gateway(target: GatewayTarget) -> GatewayReport:
        from penstock_suite.adapters.gateway_client import gateway_report

        return run(gateway_report(target))

    return status(of_stack, of_gateway)


def _target_of(selection: Selection, address: str, key: str) -> tuple[str, str]:
    from penstock_suite.app.running_stack import chat_target

    return chat_target(selection, address, key)


def _route() -> typer.Typer:
    from penstock_suite.app.routing_commands import route_commands

    return route_commands(_target_of)


def _router() -> typer.Typer:
    from penstock_suite.app.routing_commands import router_commands

    return router_commands()


def _chat() -> typer.Typer:
    from penstock_suite.surfaces.cli.chat import chat

    def opened(target: ChatTarget) -> AbstractAsyncContextManager[Conversation]:
        from penstock_suite.adapters.chat_client import chat_client

        return chat_client(target)

    return chat(_target_of, opened)


def _administration(asked: Administered) -> AbstractAsyncContextManager[Administration]:
    from penstock_suite.app.administration import administration

    return administration(asked)


def _asking(name: str, package: str = "surfaces.cli") -> Callable[[], typer.Typer]:
    """Return what makes the group of commands of this name, each of which administers."""

    def made() -> typer.Typer:
        return getattr(import_module(f"penstock_suite.{package}.{name}"), name)(_administration)

    return made


def _audit() -> typer.Typer:
    from penstock_suite.surfaces.cli.audit import audit

    return audit(_administration, _export_rows)


def _export_rows(selection: Selection, wanted: ExportRequest, show: ShowRows) -> Exported:
    from penstock_suite.app.database import export_rows

    return run(export_rows(selection, wanted, show))


def _models() -> typer.Typer:
    from penstock_suite.surfaces.cli.models import models

    def opened(selection: Selection) -> AbstractAsyncContextManager[Models]:
        from penstock_suite.app.models import opened_models

        return opened_models(selection)

    def sheets_of(selection: Selection, name: str) -> list[ModelSheet]:
        from penstock_suite.app.model_sheets import model_sheets

        return model_sheets(selection, name)

    def known(selection: Selection) -> list[str]:
        from penstock_suite.app.model_sheets import known_models

        return known_models(selection)

    return models(opened, sheets_of, known)


def _config() -> typer.Typer:
    from penstock_suite.surfaces.cli.config import config

    def verdict_of(selection: Selection, role: Role | None, *, show: bool) -> Verdict:
        from penstock_suite.app.check import verdict

        return verdict(selection, role, show=show)

    def reference() -> str:
        from penstock_suite.app.reference import reference

        return reference()

    def reload_stack(selection: Selection, patience: timedelta) -> Reload:
        from penstock_suite.app.reload_command import reload_stack

        return run(reload_stack(selection, patience))

    def import_litellm(file: Path, to: str) -> tuple[Imported, str]:
        from penstock_suite.app.importing import import_litellm

        return import_litellm(file, to)

    def examples() -> Examples:
        from penstock_suite.adapters.examples import examples
        from penstock_suite.app.plan import has_default_weights
        from penstock_suite.domain.example import Examples

        return Examples(examples(), has_default_weights())

    return config(verdict_of, reference, reload_stack, examples, import_litellm)


def _rehearse() -> typer.Typer:
    from penstock_suite.surfaces.cli.rehearse import ShowRow, rehearse

    def rehearse_failures(request: RehearseRequest, show: ShowRow) -> None:
        from penstock_suite.app.rehearsal import rehearse

        run(rehearse(request, show))

    return rehearse(rehearse_failures)


def _evaluate() -> typer.Typer:
    from penstock_suite.app.evaluations import evaluations

    return evaluations()


def _guard() -> typer.Typer:
    from penstock_suite.app.guard_commands import guard_commands

    return guard_commands()


def _faults() -> typer.Typer:
    from penstock_suite.surfaces.cli.faults import ShowPlace, ShowSeen, Work, faults

    def play(request: PlayRequest, show_place: ShowPlace, show_seen: ShowSeen) -> None:
        from penstock_suite.app.faults import play

        run(play(request, show_place, show_seen))

    def proxy(request: ProxyRequest, show_place: ShowPlace) -> None:
        from penstock_suite.app.faults import proxy

        run(proxy(request, show_place))

    def known() -> dict[str, str]:
        from penstock_suite.app.faults import known_scripts

        return known_scripts()

    def written(name: str) -> str:
        from penstock_suite.app.faults import written_script

        return written_script(name)

    return faults(Work(play, proxy, known, written))


def _serve() -> typer.Typer:
    from penstock_suite.surfaces.cli.deployment import serve

    def run_role(request: ServeRequest, show: Show) -> None:
        began = time.monotonic()
        _hold_hang_ups()
        from penstock_suite.app.serve import serve

        run(serve(request, show, began))

    return serve(run_role)


def _worker() -> typer.Typer:
    from penstock_suite.surfaces.cli.deployment import worker

    def run_worker(plan: Path, show: Show) -> None:
        began = time.monotonic()
        _hold_hang_ups()
        from penstock_suite.app.worker import work

        run(work(plan, show, began))

    return worker(run_worker)


def _health() -> typer.Typer:
    from penstock_suite.surfaces.cli.deployment import health

    def of_role(role: Role, config: Path) -> str:
        from penstock_suite.app.health import health

        return run(health(role, config))

    return health(of_role)


def _database() -> typer.Typer:
    from penstock_suite.surfaces.cli.deployment import database

    def upgrade(config: Path) -> None:
        from penstock_suite.app.database import upgrade_database

        run(upgrade_database(config))

    return database(upgrade)


def _backup() -> typer.Typer:
    from penstock_suite.surfaces.cli.backup import backup

    def back_up(selection: Selection, file: Path, show: ShowRows, *, documents_to: Path | None = None) -> BackedUp:
        from penstock_suite.app.database import back_up_database

        return run(back_up_database(selection, file, show, documents_to=documents_to))

    return backup(back_up)


def _restore() -> typer.Typer:
    from penstock_suite.surfaces.cli.backup import restore

    def refill(selection: Selection, file: Path, show: ShowRows, *, replace: bool) -> Restored:
        from penstock_suite.app.database import restore_database

        return run(restore_database(selection, file, show, replace=replace))

    return restore(refill)


def _certificates() -> typer.Typer:
    from penstock_suite.surfaces.cli.deployment import certificates

    def provide(folder: Path, hosts: list[str], life: timedelta) -> list[str]:
        from penstock_suite.adapters.certificates import provide_certificates

        return provide_certificates(folder, hosts, life)

    return certificates(provide)


def _completion() -> typer.Typer:
    from penstock_suite.surfaces.cli.completion import completion

    return completion()


def _complete(entries: Sequence[Entry]) -> typer.Typer:
    from typer.main import get_command

    from penstock_suite.surfaces.cli.completion import complete

    return complete(lambda: get_command(command_line(entries)))


if __name__ == "__main__":
    main()

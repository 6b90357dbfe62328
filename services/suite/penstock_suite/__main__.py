"""The `penstock` command.

Each action loads what it needs when it runs: gRPC, SQL and the services take
seconds to load, which `--help` and `--version` should not cost.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from penstock_suite.domain.audit import StoredEntry
from penstock_suite.domain.copies import BackedUp, Restored
from penstock_suite.domain.gateway_report import GatewayReport
from penstock_suite.domain.keys import StoredKey
from penstock_suite.domain.models import ModelRow
from penstock_suite.domain.progress import Show
from penstock_suite.domain.requests import (
    ChatTarget,
    KeyRequest,
    Role,
    Selection,
    ServeRequest,
    StatusTarget,
    TenantRequest,
    UpRequest,
)
from penstock_suite.domain.run_record import StackStatus
from penstock_suite.domain.tenants import StoredTenant, StoredUser
from penstock_suite.surfaces.cli.application import Actions, command_line
from penstock_suite.surfaces.cli.backup import ShowRows
from penstock_suite.surfaces.cli.chat import Conversation

ResultT = TypeVar("ResultT")


def main() -> None:
    """Run the command line."""
    # Read when gRPC is loaded. We never fork without exec, and its warnings about that belong in no terminal.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    command_line(
        Actions(
            _run_stack,
            _check_configuration,
            _Keys(),
            _Tenants(),
            _Users(),
            _list_audit_entries,
            _Models(),
            _Chat(),
            _Status(),
            _Roles(),
            _provide_certificates,
            _Copies(),
        )
    )(prog_name="penstock")


def _run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _run_stack(request: UpRequest, show: Show) -> None:
    began = time.monotonic()
    from penstock_suite.app.up import up

    _run(up(request, show, began))


def _check_configuration(selection: Selection, role: Role | None) -> dict[str, Any]:
    if role is not None and selection.config is not None:
        from penstock_suite.app.role_check import role_settings

        return role_settings(role, selection.config)
    from penstock_suite.app.check import effective_settings

    return effective_settings(selection)


def _provide_certificates(folder: Path, hosts: list[str], life: timedelta) -> list[str]:
    from penstock_suite.app.certificates import provide_certificates

    return provide_certificates(folder, hosts, life)


class _Status:
    def stack(self, selection: Selection) -> StackStatus:
        from penstock_suite.app.status import stack_status

        return _run(stack_status(selection))

    def gateway(self, target: StatusTarget) -> GatewayReport:
        from penstock_suite.adapters.status_client import gateway_report

        return _run(gateway_report(target))


class _Roles:
    def serve(self, request: ServeRequest, show: Show) -> None:
        began = time.monotonic()
        from penstock_suite.app.serve import serve

        _run(serve(request, show, began))

    def work(self, plan: Path, show: Show) -> None:
        began = time.monotonic()
        from penstock_suite.app.worker import work

        _run(work(plan, show, began))

    def health(self, role: Role, config: Path) -> str:
        from penstock_suite.app.health import health

        return _run(health(role, config))

    def upgrade_database(self, config: Path) -> None:
        from penstock_suite.app.database import upgrade_database

        _run(upgrade_database(config))


class _Keys:
    def create(self, selection: Selection, request: KeyRequest) -> tuple[str, StoredKey]:
        from penstock_suite.app.keys import create_key

        return _run(create_key(selection, request))

    def list(self, selection: Selection, tenant: str) -> list[StoredKey]:
        from penstock_suite.app.keys import list_keys

        return _run(list_keys(selection, tenant))

    def rotate(
        self, selection: Selection, key_id: str, overlap: timedelta | None, lifetime: timedelta | None
    ) -> tuple[str, StoredKey, StoredKey]:
        from penstock_suite.app.keys import rotate_key

        return _run(rotate_key(selection, key_id, overlap, lifetime))

    def revoke(self, selection: Selection, key_id: str) -> StoredKey:
        from penstock_suite.app.keys import revoke_key

        return _run(revoke_key(selection, key_id))


class _Copies:
    def back_up(self, selection: Selection, file: Path, show: ShowRows) -> BackedUp:
        from penstock_suite.app.backup import back_up_database

        return _run(back_up_database(selection, file, show))

    def restore(self, selection: Selection, file: Path, show: ShowRows, *, replace: bool) -> Restored:
        from penstock_suite.app.backup import restore_database

        return _run(restore_database(selection, file, show, replace=replace))


class _Tenants:
    def create(self, selection: Selection, request: TenantRequest) -> StoredTenant:
        from penstock_suite.app.tenants import create_tenant

        return _run(create_tenant(selection, request))

    def list(self, selection: Selection) -> list[StoredTenant]:
        from penstock_suite.app.tenants import list_tenants

        return _run(list_tenants(selection))

    def update(self, selection: Selection, request: TenantRequest, fields: Collection[str]) -> StoredTenant:
        from penstock_suite.app.tenants import update_tenant

        return _run(update_tenant(selection, request, fields))

    def switch(self, selection: Selection, name: str, *, enabled: bool) -> StoredTenant:
        from penstock_suite.app.tenants import switch_tenant

        return _run(switch_tenant(selection, name, enabled=enabled))


class _Users:
    def create(self, selection: Selection, tenant: str, name: str, role: str) -> StoredUser:
        from penstock_suite.app.tenants import create_user

        return _run(create_user(selection, tenant, name, role))

    def list(self, selection: Selection, tenant: str) -> list[StoredUser]:
        from penstock_suite.app.tenants import list_users

        return _run(list_users(selection, tenant))

    def change(self, selection: Selection, user_id: str, role: str) -> StoredUser:
        from penstock_suite.app.tenants import change_user

        return _run(change_user(selection, user_id, role))

    def switch(self, selection: Selection, user_id: str, *, enabled: bool) -> StoredUser:
        from penstock_suite.app.tenants import switch_user

        return _run(switch_user(selection, user_id, enabled=enabled))


def _list_audit_entries(selection: Selection, tenant: str, limit: int) -> list[StoredEntry]:
    from penstock_suite.app.audit import list_entries

    return _run(list_entries(selection, tenant, limit))


class _Models:
    def list(self, selection: Selection) -> list[ModelRow]:
        from penstock_suite.app.models import list_models

        return _run(list_models(selection))

    def load(self, selection: Selection, name: str) -> ModelRow:
        from penstock_suite.app.models import load_model

        return _run(load_model(selection, name))

    def unload(self, selection: Selection, name: str) -> ModelRow:
        from penstock_suite.app.models import unload_model

        return _run(unload_model(selection, name))


class _Chat:
    def target(self, selection: Selection, address: str, key: str) -> tuple[str, str]:
        from penstock_suite.app.chat import chat_target

        return chat_target(selection, address, key)

    def open(self, target: ChatTarget) -> AbstractAsyncContextManager[Conversation]:
        from penstock_suite.adapters.chat_client import chat_client

        return chat_client(target)


if __name__ == "__main__":
    main()

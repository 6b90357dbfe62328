"""The database of a stack: its schema, and copies of it, out and in again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from penstock_common.configuration import Configuration
from penstock_common.sql.archive import BackupError
from penstock_gateway.app.administration import upgrade_schema
from penstock_gateway.app.copies import back_up, restore
from penstock_gateway.app.exports import ExportError, Span, export
from penstock_gateway.app.exports import Exports as GatewayExports
from penstock_gateway.settings import StorageSettings
from penstock_suite.adapters.state_files import open_state_folder
from penstock_suite.app.plan import make_plan
from penstock_suite.app.running_stack import as_running
from penstock_suite.domain.answers import BackedUp, Exported, Restored
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.requests import ExportRequest, Selection

ShowRows = Callable[[str, int], None]


async def upgrade_database(config: Path) -> None:
    """Bring the schema to the newest version; several at once wait for each other.

    Of the configuration it needs the database's address and no other secret.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        SuiteFailure: if the database does not answer, or refuses.
    """
    settings = Configuration.load(config).settings(StorageSettings)
    try:
        await upgrade_schema(settings)
    except OSError as error:
        raise SuiteFailure(str(error)) from error


async def back_up_database(selection: Selection, file: Path, show: ShowRows) -> BackedUp:
    """Return what the new archive holds; the stack may run.

    Raises:
        SuiteFailure: if the database cannot be copied; an older archive at ``file`` stays.
    """
    began = time.monotonic()
    try:
        made = await back_up(_settings(selection), file, show)
    except BackupError as error:
        raise SuiteFailure(str(error)) from error
    return BackedUp(
        file=str(file),
        bytes=_size(file),
        schema=made.schema,
        created_at=made.created_at,
        rows=made.rows,
        seconds=round(time.monotonic() - began, 3),
    )


async def restore_database(selection: Selection, file: Path, show: ShowRows, *, replace: bool) -> Restored:
    """Return what the database holds now.

    Raises:
        SuiteFailure: if the archive or the database cannot be used; then nothing has changed.
    """
    began = time.monotonic()
    try:
        filled = await restore(_settings(selection), file, show, replace=replace)
    except BackupError as error:
        raise SuiteFailure(str(error)) from error
    done = filled.restored
    return Restored(
        file=str(file),
        created_at=done.backup.created_at,
        schema=done.schema,
        archived_schema=done.backup.schema,
        rows=done.backup.rows,
        replaced=done.replaced,
        keys_fit=filled.keys_fit,
        seconds=round(time.monotonic() - began, 3),
    )


async def export_rows(selection: Selection, wanted: ExportRequest, show: ShowRows) -> Exported:
    """Return what the new file holds; the stack may run, and its rows count as exported.

    Raises:
        ConfigurationError: if the configuration cannot be used, or the schema is not current.
        SuiteFailure: if the file cannot be written, or the database be read; then no row counts as exported.
    """
    began = time.monotonic()
    span = Span(wanted.since, wanted.until, wanted.new_only)
    try:
        done = await export(_settings(selection), GatewayExports(wanted.what), span, wanted.file, show)
    except ExportError as error:
        raise SuiteFailure(str(error)) from error
    return Exported(file=str(wanted.file), rows=done.rows, seconds=round(time.monotonic() - began, 3))


def _size(file: Path) -> int:
    return file.stat().st_size


def _settings(selection: Selection) -> StorageSettings:
    if selection.config is not None:
        # Of a deployment nothing else is needed: no other secret, and no state folder.
        settings = Configuration.load(selection.config).settings(StorageSettings)
        if settings.sql:
            return settings
    plan = make_plan(as_running(selection))
    open_state_folder(plan.state.root)
    return plan.configuration().settings(StorageSettings)

"""The database of a stack: its schema, and copies of it, out and in again."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
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

    Where the embedding service is not installed, its tables are left to it: it brings them up to date when it starts. Of the configuration it needs the database's address and no other secret.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        SuiteFailure: if the database does not answer, or refuses.
    """
    configuration = Configuration.load(config)
    try:
        await upgrade_schema(configuration.settings(StorageSettings))
        if _keeps_documents():
            from penstock_embedding.app.copies import upgrade_schema as upgrade_documents
            from penstock_embedding.settings import StorageSettings as DocumentsSettings

            await upgrade_documents(configuration.settings(DocumentsSettings))
    except OSError as error:
        raise SuiteFailure(str(error)) from error


def _keeps_documents() -> bool:
    """Return whether the service that keeps documents is installed here: images of other roles have it not."""
    return find_spec("penstock_embedding") is not None


async def _back_up_documents(configuration: Configuration, path: Path) -> None:
    if not _keeps_documents():
        raise SuiteFailure("Documents are copied where the embedding service is installed, which it is not here.")
    from penstock_embedding.app.copies import back_up as back_up_documents
    from penstock_embedding.settings import StorageSettings as DocumentsSettings

    await back_up_documents(configuration.settings(DocumentsSettings), path)


async def back_up_database(
    selection: Selection, file: Path, show: ShowRows, *, documents_to: Path | None = None
) -> BackedUp:
    """Return what the new archive holds, and the copy of documents at ``documents_to``; the stack may run.

    Raises:
        SuiteFailure: if one of them cannot be made; an older one in its place stays.
    """
    began = time.monotonic()
    configuration = _configuration(selection)
    try:
        if documents_to is not None:
            await _back_up_documents(configuration, documents_to)
        made = await back_up(configuration.settings(StorageSettings), file, show)
    except BackupError as error:
        raise SuiteFailure(str(error)) from error
    return BackedUp(
        file=str(file),
        bytes=_size(file),
        documents="" if documents_to is None else str(documents_to),
        documents_bytes=0 if documents_to is None else _size(documents_to),
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
    return _configuration(selection).settings(StorageSettings)


def _configuration(selection: Selection) -> Configuration:
    if selection.config is not None:
        # Of a deployment nothing else is needed: no other secret, and no state folder.
        configuration = Configuration.load(selection.config)
        if configuration.settings(StorageSettings).sql:
            return configuration
    plan = make_plan(as_running(selection))
    open_state_folder(plan.state.root)
    return plan.configuration()

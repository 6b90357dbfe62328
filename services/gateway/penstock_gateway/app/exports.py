"""Exports of the ledger and the audit log, for the command line and before rows are cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.sql.address import DatabaseLimits
from penstock_common.sql.schema import open_current_database
from penstock_gateway.adapters.exported_file import ExportError, new_export
from penstock_gateway.adapters.exported_rows import Format, rows_in
from penstock_gateway.adapters.sql.history import READ_ROWS, Span, SqlHistory
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.settings import StorageSettings

__all__ = ["ExportError", "Exported", "Exports", "Span", "export"]

_READING = DatabaseLimits(pool_size=1, connect_timeout=timedelta(seconds=10), statement_timeout=timedelta(seconds=60))

Progress = Callable[[str, int], None]
"""Called with a table and how many of its rows are done."""


class Exports(StrEnum):
    """What can be exported."""

    LEDGER = "ledger"
    AUDIT_LOG = "audit_log"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that is complete and on the disk, whose rows may be cut."""

    rows: int
    created_at: datetime


async def export(settings: StorageSettings, what: Exports, span: Span, path: Path, progress: Progress) -> Exported:
    """Write rows to a new file at ``path``, in the form that its name ends with, and then note of each that it was exported.

    Who is killed in between has the file, and the rows are exported again by the next who asks for new ones.

    Raises:
        ExportError: if the file cannot be written, or the database be read; then no row counts as exported.
        ConfigurationError: if the database's schema is not current.
    """
    try:
        async with open_current_database(settings.sql, _READING, GATEWAY, upgrades_schema=False) as engine:
            return await _export(_history(engine, what), span, path, progress)
    except (SQLAlchemyError, OSError) as error:
        raise ExportError(str(getattr(error, "orig", None) or error).partition("\n")[0]) from error


def _history(engine: AsyncEngine, what: Exports) -> SqlHistory:
    return SqlHistory.of_ledger(engine) if what is Exports.LEDGER else SqlHistory.of_audit_log(engine)


async def _export(history: SqlHistory, span: Span, path: Path, progress: Progress) -> Exported:
    began, count = datetime.now(UTC), 0
    kind = rows_in(Format.of(path))
    with new_export(path) as file, kind(file, history.columns) as written:
        async for rows in history.rows(span):
            written.write(rows)
            count += len(rows)
            progress(history.name, count)
    # As they stand in the file, which is read once more by that.
    for keys in kind.keys(path, history.key, READ_ROWS):
        await history.mark_exported(keys, began)
    return Exported(count, began)

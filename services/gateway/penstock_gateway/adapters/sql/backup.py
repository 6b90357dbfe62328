"""Copies of the whole database: one consistent moment out, and back in, on either engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.archive import (
    BATCH_ROWS,
    ArchiveReader,
    ArchiveWriter,
    Kind,
    Row,
    TableHead,
    new_archive,
    open_archive,
)
from penstock_gateway.adapters.sql.database import (
    is_newer,
    known_revisions,
    open_database,
    refusals_told,
    revision_of,
    take_upgrade_lock,
    upgrade_to,
)
from penstock_gateway.domain.backup import Backup, BackupError, Progress, Restored
from penstock_gateway.domain.database_address import UNHURRIED, DatabaseAddress, DatabaseLimits

_REVISIONS = "alembic_version"
# A batch of rows at a time: a server that says nothing for so long does not answer.
_READING = DatabaseLimits(pool_size=1, connect_timeout=timedelta(seconds=10), statement_timeout=timedelta(seconds=60))
# In this order: JSON is kept as text here and there, and a boolean as a number.
_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], Kind], ...] = (
    (sa.JSON, "json"),
    (sa.LargeBinary, "bytes"),
    (sa.DateTime, "time"),
    (sa.Boolean, "boolean"),
    (sa.Integer, "integer"),
    (sa.Float, "real"),
    (sa.String, "text"),
)


async def back_up(url: str, path: Path, progress: Progress, *, pepper: str = "") -> Backup:
    """Write the database at ``url``, as it is at one moment, to ``path``; nobody who uses it waits.

    Raises:
        BackupError: if there is nothing to copy, or ``path`` cannot be written.
    """
    file = DatabaseAddress.parse(url).file
    if file is not None and not file.is_file():
        # SQLite would make it.
        raise BackupError(f"there is no database at {file}")
    with _failures_told(url):
        return await _back_up(url, path, progress, pepper)


async def _back_up(url: str, path: Path, progress: Progress, pepper: str) -> Backup:
    async with _snapshot(url) as connection:
        schema = await connection.run_sync(revision_of)
        if schema is None:
            raise BackupError("the database has no schema, so there is nothing to back up: run 'penstock db upgrade'")
        if is_newer(schema):
            raise BackupError(f"the schema '{schema}' is of a later version of Penstock: back up with that one")
        created_at = datetime.now(UTC)
        with new_archive(path) as sink:
            writer = ArchiveWriter(sink, schema, created_at, pepper)
            for table in await connection.run_sync(_tables, table_names(schema)):
                await _copy(connection, table, writer, progress)
            rows = writer.end()
    return Backup(schema=schema, created_at=created_at, rows=rows, pepper=pepper)


@contextmanager
def _failures_told(url: str) -> Generator[None]:
    try:
        with refusals_told(url):
            yield
    except OSError as error:
        raise BackupError(str(error)) from error


@asynccontextmanager
async def _snapshot(url: str) -> AsyncGenerator[AsyncConnection]:
    """Yield a connection to which nothing changes any more."""
    async with open_database(url, _READING) as engine, engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Its snapshot is that of the first statement (postgresql.org/docs/current/transaction-iso.html).
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        else:
            # In WAL mode a reader sees the moment of its first read, and writers go on (sqlite.org/isolation.html).
            await connection.exec_driver_sql("BEGIN")
        yield connection


async def _copy(connection: AsyncConnection, table: sa.Table, writer: ArchiveWriter, progress: Progress) -> None:
    columns: tuple[tuple[str, Kind], ...] = tuple((str(column.name), _kind(column)) for column in table.columns)
    writer.begin_table(TableHead(str(table.name), columns))
    times = [place for place, (_, kind) in enumerate(columns) if kind == "time"]
    result = await connection.stream(sa.select(table).execution_options(yield_per=BATCH_ROWS))
    async for rows in result.partitions():
        progress(table.name, writer.write_rows([_portable(list(row), times) for row in rows]))


def _portable(row: Row, times: list[int]) -> Row:
    for place in times:
        moment = row[place]
        if moment is not None:
            # SQLite keeps no time zone; everything is written in UTC.
            row[place] = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return row


def _kind(column: sa.Column[Any]) -> Kind:
    for type_, kind in _KINDS:
        if isinstance(column.type, type_):
            return kind
    raise BackupError(f"the column {column.table.name}.{column.name} has a type that no archive holds: {column.type}")


def table_names(revision: str) -> list[str]:
    """Return the tables that the schema has at a revision, as its migrations say."""
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade_to(connection, revision)
            names = sa.inspect(connection).get_table_names()
    finally:
        engine.dispose()
    return [name for name in names if name != _REVISIONS]


def _tables(connection: sa.Connection, names: list[str]) -> list[sa.Table]:
    """Return the tables as they are in this database, those that others refer to first."""
    found = sa.MetaData()
    found.reflect(connection, only=names)
    return found.sorted_tables


async def restore(url: str, path: Path, progress: Progress, *, replace: bool = False) -> Restored:
    """Fill the database at ``url`` from the archive at ``path``, and bring its schema up to date: all of it or nothing.

    Raises:
        BackupError: if the archive cannot be used, or the database has rows and ``replace`` is not set.
    """
    with open_archive(path) as archive:
        schema = archive.contents.schema
        if is_newer(schema):
            raise BackupError(f"{path} has the schema '{schema}' of a later version of Penstock: restore with that one")
        if schema not in known_revisions():
            raise BackupError(f"{path} has the schema '{schema}', which no version of Penstock has")
        with _failures_told(url):
            return await _restore(url, archive, progress, replace=replace)


async def _restore(url: str, archive: ArchiveReader, progress: Progress, *, replace: bool) -> Restored:
    schema = archive.contents.schema
    async with open_database(url, UNHURRIED) as engine, engine.begin() as connection:
        replaced = await connection.run_sync(_clear, replace)
        await connection.run_sync(upgrade_to, schema)
        tables = {table.name: table for table in await connection.run_sync(_tables, table_names(schema))}
        await _fill(connection, tables, archive, progress)
        await connection.run_sync(upgrade_to)
        current = await connection.run_sync(revision_of)
    return Restored(backup=archive.contents, schema=current or "", replaced=replaced)


def _clear(connection: sa.Connection, replace: bool) -> bool:
    """Take what there is of ours out of the database; return whether there were rows."""
    take_upgrade_lock(connection)
    revision = revision_of(connection)
    if is_newer(revision):
        raise BackupError(f"the database has the schema '{revision}' of a later version of Penstock: use that one")
    present = set(sa.inspect(connection).get_table_names())
    ours = _tables(connection, [name for name in table_names(revision) if name in present]) if revision else []
    filled = [table.name for table in ours if connection.execute(sa.select(table).limit(1)).first() is not None]
    if filled and not replace:
        raise BackupError(
            f"the database has rows in {', '.join(sorted(filled))}: name an empty one, or say --replace to lose them"
        )
    for table in reversed(ours):
        table.drop(connection)
    if _REVISIONS in present:
        connection.execute(sa.text(f"DROP TABLE {_REVISIONS}"))
    return bool(filled)


async def _fill(
    connection: AsyncConnection, tables: dict[str, sa.Table], archive: ArchiveReader, progress: Progress
) -> None:
    done = dict.fromkeys(tables, 0)
    for head, rows in archive.batches():
        table = tables.get(head.table)
        if table is None or {name for name, _ in head.columns} != set(table.columns.keys()):
            raise BackupError(f"the archive's table {head.table} is not that of its schema: take another archive")
        await connection.execute(table.insert(), [_storable(table, row) for row in rows])
        done[head.table] += len(rows)
        progress(head.table, done[head.table])
    for table in tables.values():
        await _continue_numbers(connection, table)


def _storable(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    for name, value in row.items():
        if value is None and isinstance(table.columns[name].type, sa.JSON) and table.columns[name].nullable:
            # None is JSON's own null to SQLAlchemy; a column that may be empty was empty.
            row[name] = sa.null()
    return row


async def _continue_numbers(connection: AsyncConnection, table: sa.Table) -> None:
    """Let PostgreSQL number the next row after those that came with their numbers; SQLite does by itself."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key:
        if not isinstance(column.type, sa.Integer):
            continue
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        following = sa.func.greatest(sa.func.coalesce(sa.func.max(column), 0), 0) + 1
        await connection.execute(sa.select(sa.func.setval(sequence, following, False)).where(sequence.is_not(None)))

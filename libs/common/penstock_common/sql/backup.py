"""Copies of the whole database: one consistent moment out, and back in, on either engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.sql.address import UNHURRIED, DatabaseAddress, DatabaseLimits
from penstock_common.sql.archive import (
    BATCH_ROWS,
    ArchiveReader,
    ArchiveWriter,
    Backup,
    BackupError,
    Kind,
    Row,
    TableHead,
    new_archive,
    open_archive,
)
from penstock_common.sql.database import open_database, refusals_told
from penstock_common.sql.schema import Schema, take_upgrade_lock

# A batch of rows at a time: a server that says nothing for so long does not answer.
_READING = DatabaseLimits(pool_size=1, connect_timeout=timedelta(seconds=10), statement_timeout=timedelta(seconds=60))
# In this order: JSON is kept as text here and there, and a boolean as a number.
_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], Kind], ...] = (
    (sa.JSON, "json"),
    (sa.LargeBinary, "bytes"),
    (sa.DateTime, "time"),
    (sa.Date, "day"),
    (sa.Boolean, "boolean"),
    (sa.Integer, "integer"),
    (sa.Float, "real"),
    (sa.String, "text"),
)


Progress = Callable[[str, int], None]
"""Called with a table and how many of its rows are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore has done."""

    backup: Backup
    schema: str
    """The revision of the first schema that the database has now."""
    replaced: bool
    """Whether there were rows, which are gone."""


async def back_up(url: str, path: Path, progress: Progress, schemas: Sequence[Schema], *, pepper: str = "") -> Backup:
    """Write the schemas' tables, as they are at one moment, to ``path``; nobody who uses the database waits.

    Raises:
        BackupError: if there is nothing to copy, or ``path`` cannot be written.
    """
    file = DatabaseAddress.parse(url).file
    if file is not None and not file.is_file():
        # SQLite would make it.
        raise BackupError(f"there is no database at {file}")
    with _failures_told(url):
        async with _snapshot(url) as connection:
            return await _back_up(connection, path, progress, schemas, pepper)


async def _back_up(
    connection: AsyncConnection, path: Path, progress: Progress, schemas: Sequence[Schema], pepper: str
) -> Backup:
    first, *others = schemas
    revisions = {schema.branch: await connection.run_sync(_copied_revision, schema) for schema in schemas}
    if not revisions[first.branch]:
        raise BackupError("the database has no schema, so there is nothing to back up: run 'penstock db upgrade'")
    branches = {schema.branch: revision for schema in others if (revision := revisions[schema.branch])}
    backup = Backup(
        schema=revisions[first.branch], created_at=datetime.now(UTC), rows={}, pepper=pepper, branches=branches
    )
    names = [name for schema in schemas for name in table_names(schema, revisions[schema.branch])]
    with new_archive(path) as sink:
        writer = ArchiveWriter(sink, backup)
        for table in await connection.run_sync(_tables, names):
            await _copy(connection, table, writer, progress)
        return changed(backup, rows=writer.end())


def _copied_revision(connection: sa.Connection, schema: Schema) -> str:
    """Return the schema's revision here, empty where it has none."""
    revision = schema.revision_of(connection)
    if schema.is_newer(revision):
        raise BackupError(f"the schema '{revision}' is of a later version of Penstock: back up with that one")
    return revision or ""


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


def table_names(schema: Schema, revision: str) -> list[str]:
    """Return the tables that the schema has at a revision, as its migrations say; none before the first."""
    if not revision:
        return []
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            schema.upgrade_to(connection, revision)
            names = sa.inspect(connection).get_table_names()
    finally:
        engine.dispose()
    return [name for name in names if name != schema.version_table]


def _tables(connection: sa.Connection, names: list[str]) -> list[sa.Table]:
    """Return the tables as they are in this database, those that others refer to first."""
    found = sa.MetaData()
    found.reflect(connection, only=names)
    return found.sorted_tables


async def restore(
    url: str, path: Path, progress: Progress, schemas: Sequence[Schema], *, replace: bool = False
) -> Restored:
    """Fill the schemas' tables from the archive at ``path``, and bring them up to date: all of it or nothing.

    Raises:
        BackupError: if the archive cannot be used, or the tables have rows and ``replace`` is not set.
    """
    with open_archive(path) as archive:
        kept = _revisions_in(archive.contents, path, schemas)
        with _failures_told(url):
            return await _restore(url, archive, progress, kept, replace=replace)


def _revisions_in(backup: Backup, path: Path, schemas: Sequence[Schema]) -> dict[Schema, str]:
    """Return the archive's revision of each schema, empty where it has none of it."""
    first, *others = schemas
    if unknown := set(backup.branches) - {schema.branch for schema in others}:
        raise BackupError(f"{path} has tables of {', '.join(sorted(unknown))}, which this version of Penstock has not")
    kept = {first: backup.schema, **{schema: backup.branches.get(schema.branch, "") for schema in others}}
    for schema, revision in kept.items():
        if schema.is_newer(revision):
            raise BackupError(
                f"{path} has the schema '{revision}' of a later version of Penstock: restore with that one"
            )
        if revision not in {*schema.known_revisions(), *([""] if schema is not first else [])}:
            raise BackupError(f"{path} has the schema '{revision}', which no version of Penstock has")
    return kept


async def _restore(
    url: str, archive: ArchiveReader, progress: Progress, kept: dict[Schema, str], *, replace: bool
) -> Restored:
    async with open_database(url, UNHURRIED) as engine, engine.begin() as connection:
        replaced = await connection.run_sync(_clear, list(kept), replace)
        names: list[str] = []
        for schema, revision in kept.items():
            if revision:
                await connection.run_sync(schema.upgrade_to, revision)
                names += table_names(schema, revision)
        tables = {table.name: table for table in await connection.run_sync(_tables, names)}
        await _fill(connection, tables, archive, progress)
        for schema in kept:
            await connection.run_sync(schema.upgrade_to)
        first = next(iter(kept))
        current = await connection.run_sync(first.revision_of)
    return Restored(backup=archive.contents, schema=current or "", replaced=replaced)


def _clear(connection: sa.Connection, schemas: Sequence[Schema], replace: bool) -> bool:
    """Take what there is of the schemas out of the database; return whether there were rows."""
    take_upgrade_lock(connection)
    present = set(sa.inspect(connection).get_table_names())
    names: set[str] = set()
    for schema in schemas:
        revision = schema.revision_of(connection)
        if schema.is_newer(revision):
            raise BackupError(f"the database has the schema '{revision}' of a later version of Penstock: use that one")
        names.update(table_names(schema, revision or ""))
    ours = _tables(connection, sorted(names & present))
    filled = [table.name for table in ours if connection.execute(sa.select(table).limit(1)).first() is not None]
    if filled and not replace:
        raise BackupError(
            f"the database has rows in {', '.join(sorted(filled))}: name an empty one, or say --replace to lose them"
        )
    for table in reversed(ours):
        table.drop(connection)
    for schema in schemas:
        if schema.version_table in present:
            sa.Table(schema.version_table, sa.MetaData()).drop(connection)
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

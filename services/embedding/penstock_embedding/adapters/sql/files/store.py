"""Files in SQL, their content as it was sealed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, delete, func, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.contract.file_calls import ListFilesRequest, StoredFile
from penstock_common.errors import ServiceUnavailable
from penstock_embedding.adapters.sql.files.tables import file_batches, file_uses, files
from penstock_embedding.domain.knowledge.files import Batch, FileLimits, share_is_spent

_FILE = files.c
_DESCRIPTION = (_FILE.id, _FILE.filename, _FILE.purpose, _FILE.bytes, _FILE.created_at)
# SQLite takes no more variables in one statement than some hundreds, by its oldest default.
_IDS_AT_ONCE = 500


class SqlFiles:
    """Implements ``FileStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, tenant: str, file: StoredFile, sealed: bytes, limits: FileLimits) -> None:
        """Keep a file, within the tenant's share."""
        kept = select(func.count(), func.coalesce(func.sum(_FILE.bytes), 0)).where(_FILE.tenant == tenant)
        row = {name: getattr(file, name) for name in ("id", "filename", "purpose", "bytes", "created_at")}
        async with self._begun() as connection:
            count, size = (await connection.execute(kept)).one()
            if count >= limits.max_files or size + file.bytes > limits.max_bytes:
                raise share_is_spent(count, int(size))
            await connection.execute(files.insert().values(tenant=tenant, deleting=False, sealed=sealed, **row))

    async def find(self, tenant: str, ids: Sequence[str]) -> Sequence[StoredFile]:
        """Return those of the ids that are there, and not being deleted."""
        found: list[StoredFile] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            query = select(*_DESCRIPTION).where(*_visible(tenant), _FILE.id.in_(ids[start : start + _IDS_AT_ONCE]))
            found += [_file_of(row) for row in await self._rows(query)]
        return found

    async def content(self, tenant: str, file: str) -> bytes | None:
        """Return a file's sealed content."""
        rows = await self._rows(select(_FILE.sealed).where(*_visible(tenant), _FILE.id == file))
        return rows[0][0] if rows else None

    async def list(self, request: ListFilesRequest, limit: int) -> Sequence[StoredFile]:
        """Return files by id."""
        query = select(*_DESCRIPTION).where(*_visible(request.tenant)).limit(limit)
        if request.purpose:
            query = query.where(_FILE.purpose == request.purpose)
        if request.after:
            query = query.where(_FILE.id < request.after if request.descending else _FILE.id > request.after)
        query = query.order_by(_FILE.id.desc() if request.descending else _FILE.id)
        return [_file_of(row) for row in await self._rows(query)]

    async def begin_deletion(self, tenant: str, file: str) -> bool:
        """Have a file found no more; return whether there is one, or what is left of one."""
        is_it = _FILE.tenant == tenant, _FILE.id == file
        return bool(await self._change(update(files).where(*is_it).values(deleting=True)))

    async def end_deletion(self, tenant: str, file: str) -> None:
        """Forget a file, and where it was attached."""
        async with self._begun() as connection:
            await connection.execute(delete(file_uses).where(*_uses_of(tenant, file)))
            await connection.execute(delete(files).where(_FILE.tenant == tenant, _FILE.id == file))

    async def note_use(self, tenant: str, file: str, base: str) -> None:
        """Write down that a file is attached to a knowledge base; may be repeated."""
        try:
            await self._change(file_uses.insert().values(tenant=tenant, file=file, base=base))
        except IntegrityError:
            return

    async def uses(self, tenant: str, file: str) -> Sequence[str]:
        """Return the knowledge bases that a file was attached to."""
        query = select(file_uses.c.base).where(*_uses_of(tenant, file)).order_by(file_uses.c.base)
        return [row[0] for row in await self._rows(query)]

    async def add_batch(self, tenant: str, batch: Batch) -> None:
        """Keep a batch."""
        row = batch._asdict() | {"documents": [*batch.documents]}
        await self._change(file_batches.insert().values(tenant=tenant, **row))

    async def batch(self, tenant: str, base: str, batch: str) -> Batch | None:
        """Return one."""
        rows = await self._rows(select(file_batches).where(*_is_batch(tenant, base, batch)))
        if not rows:
            return None
        row = rows[0]
        return Batch(row.id, row.base, _in_utc(row.created_at), row.cancelled, tuple(row.documents))

    async def cancel_batch(self, tenant: str, base: str, batch: str) -> None:
        """Write down that it was cancelled."""
        await self._change(update(file_batches).where(*_is_batch(tenant, base, batch)).values(cancelled=True))

    @asynccontextmanager
    async def _begun(self) -> AsyncGenerator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError) as error:
            raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error

    async def _rows(self, query: Executable) -> Sequence[Row[Any]]:
        async with self._begun() as connection:
            return (await connection.execute(query)).all()

    async def _change(self, statement: Executable) -> int:
        async with self._begun() as connection:
            return (await connection.execute(statement)).rowcount


def _visible(tenant: str) -> tuple[ColumnElement[bool], ...]:
    return _FILE.tenant == tenant, _FILE.deleting.is_(False)


def _uses_of(tenant: str, file: str) -> tuple[ColumnElement[bool], ...]:
    return file_uses.c.tenant == tenant, file_uses.c.file == file


def _is_batch(tenant: str, base: str, batch: str) -> tuple[ColumnElement[bool], ...]:
    return file_batches.c.tenant == tenant, file_batches.c.base == base, file_batches.c.id == batch


def _file_of(row: Row[Any]) -> StoredFile:
    return StoredFile(
        id=row.id, filename=row.filename, purpose=row.purpose, bytes=row.bytes, created_at=_in_utc(row.created_at)
    )


def _in_utc(moment: datetime) -> datetime:
    # SQLite forgets the zone.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

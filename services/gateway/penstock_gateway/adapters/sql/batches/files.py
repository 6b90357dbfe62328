"""Files of batches in SQL, in sealed pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.adapters.sql.batches.rows import (
    BEGUN,
    GONE,
    KEPT,
    LEFT,
    file_of,
    file_values,
    piece_place,
)
from penstock_gateway.adapters.sql.batches.tables import batches, files, pieces
from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import ms_of
from penstock_gateway.domain.batches.files import PURPOSES, FileFilter, KeptFile

_FILE = files.c
# Of 1 MiB, in one transaction.
_PIECES_AT_ONCE = 16
# Between two of those, in seconds.
_PAUSE = 0.02


class SqlBatchFiles:
    """Implements ``FileStore``."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    async def begin(self, file: KeptFile) -> None:
        """Make room for a file; see the port."""
        async with self._database.writing() as connection:
            await connection.execute(insert(files).values(file_values(file)))

    async def append(self, file: KeptFile, number: int, content: bytes) -> None:
        """Keep a piece; see the port."""
        sealed = self._database.sealer.seal(file.tenant, piece_place(file.id, number), content)
        # Whoever deletes it waits for this row, and so finds the piece.
        begun = update(files).where(_FILE.id == file.id, _FILE.state == BEGUN).values(bytes=_FILE.bytes + len(content))
        async with self._database.writing() as connection:
            if (await connection.execute(begun)).rowcount == 0:
                raise ServiceUnavailable("The file took too long, or is written elsewhere. Try again.", service="sql")
            await connection.execute(insert(pieces).values(file=file.id, number=number, sealed=sealed))

    async def publish(self, file: KeptFile, size_bytes: int) -> KeptFile:
        """Have a file be there; see the port."""
        async with self._database.writing() as connection:
            return await publish(connection, file, size_bytes)

    async def discard(self, file: KeptFile) -> None:
        """Delete a file that was not published; see the port."""
        async with self._database.writing() as connection:
            left = await leave(connection, (_FILE.id == file.id, _FILE.state == BEGUN))
        await forget(self._database, left)

    async def get(self, tenant: str, file_id: str, now: datetime) -> KeptFile | None:
        """Return a file; see the port."""
        query = select(files).where(_FILE.id == file_id, _FILE.tenant == tenant, *_there(now))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else file_of(row)

    async def piece(self, file: KeptFile, number: int) -> bytes | None:
        """Return a piece of a file; see the port."""
        query = select(pieces.c.sealed).where(pieces.c.file == file.id, pieces.c.number == number)
        async with self._database.reading() as connection:
            sealed = (await connection.execute(query)).scalar()
        if sealed is None:
            return None
        return self._database.sealer.open(file.tenant, piece_place(file.id, number), sealed)

    async def list(self, wanted: FileFilter, limit: int, now: datetime) -> Sequence[KeptFile]:
        """Return files; see the port."""
        async with self._database.reading() as connection:
            by_id = by_bytes(_FILE.id, connection.dialect.name)
            purposes = (wanted.purpose,) if wanted.purpose else PURPOSES
            conditions = [_FILE.tenant == wanted.tenant, _FILE.purpose.in_(purposes), *_there(now)]
            if wanted.owner:
                conditions.append(_FILE.key_id == wanted.owner)
            if wanted.after:
                conditions.append(by_id < wanted.after if wanted.descending else by_id > wanted.after)
            order = by_id.desc() if wanted.descending else by_id
            rows = (await connection.execute(select(files).where(*conditions).order_by(order).limit(limit))).all()
        return [file_of(row) for row in rows]

    async def delete(self, tenant: str, file_id: str) -> bool:
        """Have a file be there no more; see the port."""
        which = (_FILE.id == file_id, _FILE.tenant == tenant, _FILE.state == KEPT)
        left: Sequence[str] = ()
        async with self._database.writing() as connection:
            gone = (await connection.execute(update(files).where(*which).values(state=GONE))).rowcount
            if gone:
                left = await leave(connection, (_FILE.id == file_id, ~_is_read(_FILE.id)))
        await forget(self._database, left)
        return gone > 0

    async def stored_bytes(self, tenant: str) -> int:
        """Return how much a tenant's files take; see the port."""
        query = select(func.coalesce(func.sum(_FILE.bytes), 0)).where(_FILE.tenant == tenant, _FILE.state != LEFT)
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar() or 0)

    async def sweep(self, now: datetime, begun_before: datetime, limit: int) -> int:
        """Delete what is there no more; see the port."""
        old = or_(
            _FILE.state == GONE,
            (_FILE.state == BEGUN) & (_FILE.created_ms < ms_of(begun_before)),
            (_FILE.state == KEPT) & (_FILE.expires_ms < ms_of(now)),
        )
        async with self._database.writing() as connection:
            query = select(_FILE.id).where(old, ~_is_read(_FILE.id)).limit(limit).with_for_update(skip_locked=True)
            gone = (await connection.execute(query)).scalars().all()
            await leave(connection, (_FILE.id.in_(gone),))
            # Of those that earlier ones, or other processes, did not come to the end of, too.
            left = (await connection.execute(select(_FILE.id).where(_FILE.state == LEFT).limit(limit))).scalars().all()
        await forget(self._database, left)
        return len(left)


async def publish(connection: AsyncConnection, file: KeptFile, size_bytes: int) -> KeptFile:
    """Have a file be there.

    Raises:
        ServiceUnavailable: if it is not any more.
    """
    values = {"state": KEPT, "bytes": size_bytes, "expires_ms": ms_of(file.expires_at)}
    kept = update(files).where(_FILE.id == file.id, _FILE.state == BEGUN).values(values)
    row = (await connection.execute(kept.returning(*_FILE))).first()
    if row is None:
        raise ServiceUnavailable("The file took too long, or is written elsewhere. Try again.", service="sql")
    return file_of(row)


async def leave(connection: AsyncConnection, which: Sequence[ColumnElement[bool]]) -> Sequence[str]:
    """Have nobody read or write files any more, for ``forget``; return their ids."""
    left = update(files).where(*which).values(state=LEFT).returning(_FILE.id)
    return (await connection.execute(left)).scalars().all()


async def forget(database: JobDatabase, ids: Collection[str]) -> None:
    """Delete files that are left, a few pieces at a time: whoever else writes waits for no more than those."""
    for file_id in ids:
        of_file = pieces.c.file == file_id
        async with database.reading() as connection:
            last: int = (await connection.execute(select(func.max(pieces.c.number)).where(of_file))).scalar() or 0
        for end in range(_PIECES_AT_ONCE, last, _PIECES_AT_ONCE):
            async with database.writing() as connection:
                await connection.execute(delete(pieces).where(of_file, pieces.c.number < end))
            await asyncio.sleep(_PAUSE)
        async with database.writing() as connection:
            await connection.execute(delete(pieces).where(of_file))
            await connection.execute(delete(files).where(_FILE.id == file_id))


def _there(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return _FILE.state == KEPT, or_(_FILE.expires_ms.is_(None), _FILE.expires_ms > ms_of(now))


def _is_read(file_id: Any) -> ColumnElement[bool]:
    """Return whether a batch that has not ended reads a file."""
    return exists().where(batches.c.input_file == file_id, batches.c.is_open)

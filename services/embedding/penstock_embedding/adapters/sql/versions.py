"""Index versions in SQL: what is being built, what serves, what has served."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.contract.knowledge import IndexSpec, IndexVersion, RetrievalQuality
from penstock_common.errors import ResourceExists, ResourceNotFound, ResourceState
from penstock_embedding.adapters.sql.bases import add_index
from penstock_embedding.adapters.sql.chunk_rows import forget_document, remember_document, rows_of
from penstock_embedding.adapters.sql.database import Database, as_json, lock_base, place, require_base
from penstock_embedding.adapters.sql.garbage import throw_away
from penstock_embedding.adapters.sql.rows import converted, document_of, index_of, now, readout_of, ref_of
from penstock_embedding.adapters.sql.tables import bases, chunks, documents, garbage, indexed, indexes, terms, texts
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.records import Key, Made, Unbuilt

Row = Mapping[Any, Any]
# After so long nobody can still be at what was deleted.
_TOMBSTONES = timedelta(hours=24)
_ENDED = ("ready", "failed")


class SqlVersions:
    """Implements ``Versions``."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    async def list(self, tenant: str, base: str) -> Sequence[IndexVersion]:
        """Return all, the newest first; see the port."""
        async with self._database.reading() as connection:
            found = await require_base(connection, tenant, base)
            total = (await connection.execute(_current_documents(tenant, base))).scalar_one()
            counted = (
                select(indexed.c.index_version, func.count())
                .where(indexed.c.tenant == tenant, indexed.c.base == base)
                .group_by(indexed.c.index_version)
            )
            counts = dict((await connection.execute(counted)).all())
            query = select(indexes).where(*_of_base(tenant, base)).order_by(indexes.c.number.desc())
            rows = (await connection.execute(query)).mappings().all()
        return [index_of(row, found["serving"], counts.get(row["number"], 0), total) for row in rows]

    async def begin(self, index: IndexRef, *, again: bool = False) -> int:
        """Begin a version; see the port."""
        async with self._database.writing() as connection:
            base = await lock_base(connection, index.tenant, index.base)
            for row in await _rows(connection, index.tenant, index.base):
                _check_other(row, index, may_be_like_it=again)
            number: int = base["next_index"]
            await add_index(connection, index._replace(version=number), "building")
            of_it = bases.c.tenant == index.tenant, bases.c.id == index.base
            await connection.execute(update(bases).where(*of_it).values(next_index=number + 1))
        return number

    async def take(self, lease: float) -> IndexRef | None:
        """Take one that is to be built; see the port."""
        moment = time.time()
        mine_or_free = (indexes.c.leased_until < moment) | (indexes.c.owner == self._owner)
        query = (
            select(indexes)
            .where(indexes.c.state == "building", mine_or_free)
            .order_by(indexes.c.leased_until, indexes.c.created_at)
            .limit(1)
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(query.with_for_update(skip_locked=True))).mappings().first()
            if row is None:
                return None
            index = ref_of(row, 0)
            held = {"owner": self._owner, "leased_until": moment + lease}
            await connection.execute(update(indexes).where(*_is(index)).values(**held))
        return index

    async def put_back(self, index: IndexRef, seconds: float) -> None:
        """Have one be taken later; see the port."""
        mine = *_is(index), indexes.c.owner == self._owner, indexes.c.state == "building"
        later = {"owner": "", "leased_until": time.time() + seconds}
        async with self._database.writing() as connection:
            await connection.execute(update(indexes).where(*mine).values(**later))

    async def renew(self, lease: float) -> None:
        """Hold what is held for longer; see the port."""
        mine = indexes.c.owner == self._owner, indexes.c.state == "building"
        async with self._database.writing() as connection:
            await connection.execute(update(indexes).where(*mine).values(leased_until=time.time() + lease))

    async def free_all(self) -> None:
        """Let all be taken; see the port."""
        if self._database.is_shared:
            return
        async with self._database.writing() as connection:
            await connection.execute(update(indexes).values(owner="", leased_until=0.0))

    async def missing(self, index: IndexRef, limit: int) -> Sequence[Unbuilt]:
        """Return documents that are found, and not in the index as they are; see the port."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(_missing(index).limit(limit))).mappings().all()
            return [
                Unbuilt(
                    Key(row["tenant"], row["base"], row["id"]),
                    row["current"],
                    row["current_fingerprint"],
                    row["changes"],
                    document_of(row),
                    readout_of(
                        self._database.sealer.open(
                            row["tenant"], place("text", row["base"], row["id"], row["current"]), row["content"]
                        )
                    ),
                )
                for row in rows
            ]

    async def add(self, unbuilt: Unbuilt, made: Made) -> bool:
        """Have a document be in an index that is built; see the port."""
        rows, key = rows_of(self._database, made), unbuilt.key
        async with self._database.writing() as connection:
            if not await _is_building(connection, made.index):
                return False
            row = (await connection.execute(select(documents).where(*_document(key)))).mappings().first()
            if row is not None and row["current"] == unbuilt.version:
                await forget_document(connection, key, made.index.version)
                await remember_document(connection, key, unbuilt.version, made, rows)
                if row["changes"] != unbuilt.changes:
                    await throw_away(connection, "relabel", made.index, key.document)
            else:
                # Deleted or replaced meanwhile: what was put of it is nobody's.
                await throw_away(connection, "drop", made.index, key.document, unbuilt.version + 1)
        return True

    async def finish(self, index: IndexRef) -> bool:
        """Have an index be ready if it is complete; see the port."""
        async with self._database.writing() as connection:
            if not await _is_building(connection, index):
                return True
            if (await connection.execute(_missing(index).limit(1))).first() is not None:
                return False
            ready = {"state": "ready", "owner": "", "leased_until": 0.0}
            await connection.execute(update(indexes).where(*_is(index)).values(**ready))
        return True

    async def fail(self, index: IndexRef, error: str) -> None:
        """End the building of an index, or the keeping of one that does not serve; see the port."""
        async with self._database.writing() as connection:
            base = await lock_base(connection, index.tenant, index.base)
            if base["serving"] != index.version:
                failed = {"state": "failed", "error": error, "owner": "", "leased_until": 0.0, "retired_at": now()}
                await connection.execute(update(indexes).where(*_is(index)).values(**failed))

    async def switch(self, tenant: str, base: str, number: int, seen: int) -> None:
        """Have a version serve; see the port."""
        async with self._database.writing() as connection:
            found = await lock_base(connection, tenant, base)
            row = await _require(connection, tenant, base, number)
            if row["state"] != "ready":
                raise ResourceState(
                    f"Index version {number} is {row['state']}: only one that is ready can serve.",
                    kind="index",
                    name=str(number),
                )
            if found["serving"] == number:
                return
            if found["serving"] != seen:
                raise ResourceState(
                    f"Meanwhile version {found['serving']} serves: compare with that one, and switch again.",
                    kind="index",
                    name=str(number),
                )
            await connection.execute(
                update(indexes)
                .where(*_of_base(tenant, base), indexes.c.number == found["serving"])
                .values(retired_at=now())
            )
            of_it = bases.c.tenant == tenant, bases.c.id == base
            switched = {"serving": number, "previous": found["serving"], "generation": bases.c.generation + 1}
            await connection.execute(update(bases).where(*of_it).values(**switched))

    async def previous(self, tenant: str, base: str) -> tuple[int, int]:
        """Return the versions that serves, and that served before; see the port."""
        async with self._database.reading() as connection:
            found = await require_base(connection, tenant, base)
        return found["serving"], found["previous"]

    async def note_quality(self, tenant: str, base: str, number: int, quality: Sequence[RetrievalQuality]) -> None:
        """Keep how well a version finds; see the port."""
        of_it = *_of_base(tenant, base), indexes.c.number == number
        async with self._database.writing() as connection:
            await connection.execute(update(indexes).where(*of_it).values(quality=as_json(quality)))

    async def drop(self, tenant: str, base: str, number: int) -> bool:
        """Delete a version that does not serve; see the port."""
        async with self._database.writing() as connection:
            found = await lock_base(connection, tenant, base)
            if found["serving"] == number:
                raise ResourceState(
                    f"Index version {number} serves: switch to another one first.", kind="index", name=str(number)
                )
            of_it = *_of_base(tenant, base), indexes.c.number == number
            row = (await connection.execute(select(indexes).where(*of_it))).mappings().first()
            if row is None:
                return False
            await _drop(connection, row)
        return True

    async def collect(self, kept: int, kept_for: timedelta) -> int:
        """Delete versions that nobody will return to; see the port."""
        query = (
            select(indexes, bases.c.serving)
            .join(bases, and_(bases.c.tenant == indexes.c.tenant, bases.c.id == indexes.c.base))
            .where(or_(*[indexes.c.state == state for state in _ENDED]), indexes.c.number != bases.c.serving)
            .order_by(indexes.c.tenant, indexes.c.base, indexes.c.number.desc())
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        old = _old_ones(rows, kept, kept_for)
        dropped = 0
        for row in old:
            try:
                dropped += await self.drop(row["tenant"], row["base"], row["number"])
            except (ResourceState, ResourceNotFound):
                # It serves again.
                continue
        await self._bury()
        return dropped

    async def _bury(self) -> None:
        """Forget what was deleted long ago."""
        before = now() - _TOMBSTONES
        async with self._database.writing() as connection:
            for table in (documents, bases):
                left = exists().where(garbage.c.tenant == table.c.tenant)
                await connection.execute(delete(table).where(table.c.deleted_at < before, ~left))


def _old_ones(rows: Sequence[Row], kept: int, kept_for: timedelta) -> list[Row]:
    old: list[Row] = []
    counts: dict[tuple[str, str], int] = {}
    until = (now() - kept_for).replace(tzinfo=None)
    for row in rows:
        name = row["tenant"], row["base"]
        # To one that has failed nobody returns; its error is shown for as long.
        is_ready = row["state"] == "ready"
        counts[name] = counts.get(name, 0) + is_ready
        retired = row["retired_at"]
        if (is_ready and counts[name] > kept) or (retired is not None and retired.replace(tzinfo=None) < until):
            old.append(row)
    return old


async def _drop(connection: AsyncConnection, row: Row) -> None:
    index = ref_of(row, 0)
    for table in (chunks, indexed, terms):
        of_it = table.c.tenant == index.tenant, table.c.base == index.base, table.c.index_version == index.version
        await connection.execute(delete(table).where(*of_it))
    await connection.execute(delete(indexes).where(*_is(index)))
    of_base = bases.c.tenant == index.tenant, bases.c.id == index.base, bases.c.previous == index.version
    await connection.execute(update(bases).where(*of_base).values(previous=0))
    await throw_away(connection, "index", index)


def _check_other(row: Row, index: IndexRef, *, may_be_like_it: bool) -> None:
    if row["state"] == "building":
        raise ResourceState(
            f"Index version {row['number']} is being built: wait for it, or drop it.",
            kind="index",
            name=str(row["number"]),
        )
    spec = converted(row["spec"], IndexSpec)
    made = spec.splitter, row["model_revision"], row["analysis"]
    is_same = made == (index.spec.splitter, index.model_revision, index.analysis)
    if is_same and row["state"] == "ready" and not may_be_like_it:
        raise ResourceExists(
            f"Index version {row['number']} is made with the same model and splitter: say 'again' to make another.",
            kind="index",
            name=str(row["number"]),
        )


async def _is_building(connection: AsyncConnection, index: IndexRef) -> bool:
    try:
        await lock_base(connection, index.tenant, index.base)
    except ResourceNotFound:
        return False
    state = (await connection.execute(select(indexes.c.state).where(*_is(index)))).scalar()
    return state == "building"


def _missing(index: IndexRef) -> Any:
    is_there = exists().where(
        indexed.c.tenant == documents.c.tenant,
        indexed.c.base == documents.c.base,
        indexed.c.document == documents.c.id,
        indexed.c.document_version == documents.c.current,
        indexed.c.index_version == index.version,
    )
    return (
        select(documents, texts.c.content)
        .join(
            texts,
            and_(
                texts.c.tenant == documents.c.tenant,
                texts.c.base == documents.c.base,
                texts.c.document == documents.c.id,
                texts.c.version == documents.c.current,
            ),
        )
        .where(documents.c.tenant == index.tenant, documents.c.base == index.base, documents.c.current > 0, ~is_there)
        .order_by(documents.c.id)
    )


def _current_documents(tenant: str, base: str) -> Any:
    of_it = documents.c.tenant == tenant, documents.c.base == base, documents.c.current > 0
    return select(func.count()).select_from(documents).where(*of_it)


async def _rows(connection: AsyncConnection, tenant: str, base: str) -> Sequence[Row]:
    return (await connection.execute(select(indexes).where(*_of_base(tenant, base)))).mappings().all()


async def _require(connection: AsyncConnection, tenant: str, base: str, number: int) -> Row:
    of_it = *_of_base(tenant, base), indexes.c.number == number
    row = (await connection.execute(select(indexes).where(*of_it))).mappings().first()
    if row is None:
        raise ResourceNotFound(f"There is no index version {number}.", kind="index", name=str(number))
    return row


def _of_base(tenant: str, base: str) -> tuple[Any, Any]:
    return indexes.c.tenant == tenant, indexes.c.base == base


def _is(index: IndexRef) -> tuple[Any, Any, Any]:
    return (*_of_base(index.tenant, index.base), indexes.c.number == index.version)


def _document(key: Key) -> tuple[Any, Any, Any]:
    return documents.c.tenant == key.tenant, documents.c.base == key.base, documents.c.id == key.document

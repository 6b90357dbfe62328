"""Documents in SQL: what was put, and what is found."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.contract.knowledge import Attribute, Chunk, Document, DocumentState
from penstock_common.errors import QuotaExhausted, ResourceChanged, ResourceState
from penstock_embedding.adapters.sql.chunk_rows import forget_document
from penstock_embedding.adapters.sql.database import Database, as_json, lock_base, no_document, place, require_base
from penstock_embedding.adapters.sql.garbage import throw_away
from penstock_embedding.adapters.sql.rows import chunk_of, document_of, now, ref_of
from penstock_embedding.adapters.sql.tables import bases, chunks, contents, documents, indexed, indexes, pending, texts
from penstock_embedding.domain.knowledge.records import Key, Limits, NewDocument, Page

Row = Mapping[Any, Any]


class SqlDocuments:
    """Implements ``DocumentStore``."""

    def __init__(self, database: Database, *, keeps_originals: bool) -> None:
        self._database = database
        self._keeps_originals = keeps_originals

    async def put(self, new: NewDocument, limits: Limits) -> tuple[Document, bool]:
        """Accept a document; see the port."""
        key = new.key
        sealed = self._database.sealer.seal(key.tenant, place("content", key.base, key.document), new.content)
        async with self._database.writing() as connection:
            await lock_base(connection, key.tenant, key.base)
            row = await _row(connection, key)
            exists = row is not None and row["deleted_at"] is None
            _check_version(new, row if exists else None)
            if row is not None and exists and row["fingerprint"] == new.fingerprint and row["state"] in _GOING_WELL:
                changed = await self._relabel(connection, row, new.attributes, new.labels)
                return document_of(changed), True
            await _check_room(connection, new, row if exists else None, limits)
            await self._accept(connection, new, row, exists=exists, sealed=sealed)
            accepted = await _row(connection, key)
            assert accepted is not None
            return document_of(accepted), False

    async def change(
        self, key: Key, attributes: Sequence[Attribute] | None, labels: Sequence[str] | None, *, cancel: bool
    ) -> Document:
        """Change labels and attributes, and end the taking in; see the port."""
        async with self._database.writing() as connection:
            await lock_base(connection, key.tenant, key.base)
            row = await _row(connection, key)
            if row is None or row["deleted_at"] is not None:
                raise no_document(key.document)
            if cancel:
                await self._cancel(connection, key, row)
            await self._relabel(connection, row, attributes, labels)
            changed = await _row(connection, key)
            assert changed is not None
            return document_of(changed)

    async def get(self, key: Key) -> Document:
        """Return one; see the port."""
        async with self._database.reading() as connection:
            base = await require_base(connection, key.tenant, key.base)
            row = await _require(connection, key)
            return (await _counted(connection, base, [row]))[0]

    async def list(
        self, tenant: str, base: str, page: Page, state: DocumentState = "", ids: Sequence[str] = ()
    ) -> Sequence[Document]:
        """Return a page; see the port."""
        column = documents.c
        query = select(documents).where(column.tenant == tenant, column.base == base, column.deleted_at.is_(None))
        if page.after:
            query = query.where(column.id < page.after if page.descending else column.id > page.after)
        if state:
            query = query.where(column.state == state)
        if ids:
            query = query.where(column.id.in_(ids))
        query = query.order_by(column.id.desc() if page.descending else column.id).limit(page.limit)
        async with self._database.reading() as connection:
            found = await require_base(connection, tenant, base)
            return await _counted(connection, found, (await connection.execute(query)).mappings().all())

    async def chunks(self, key: Key, after: int, limit: int) -> Sequence[Chunk]:
        """Return a page of its chunks in the index that serves; see the port."""
        column = chunks.c
        async with self._database.reading() as connection:
            base = await require_base(connection, key.tenant, key.base)
            await _require(connection, key)
            query = (
                select(chunks)
                .where(column.tenant == key.tenant, column.base == key.base, column.document == key.document)
                .where(column.index_version == base["serving"], column.ordinal > after)
                .order_by(column.ordinal)
                .limit(limit)
            )
            rows = (await connection.execute(query)).mappings().all()
        return [chunk_of(self._database, row) for row in rows]

    async def original(self, key: Key) -> tuple[Document, bytes]:
        """Return what was put; see the port."""
        async with self._database.reading() as connection:
            await require_base(connection, key.tenant, key.base)
            document = document_of(await _require(connection, key))
            query = select(contents.c.content).where(*_of(contents, key))
            sealed = (await connection.execute(query)).scalar()
        if sealed is None or not self._keeps_originals:
            raise no_document(key.document)
        return document, self._database.sealer.open(key.tenant, place("content", key.base, key.document), sealed)

    async def delete(self, key: Key) -> bool:
        """Delete one from every version; see the port."""
        async with self._database.writing() as connection:
            await lock_base(connection, key.tenant, key.base)
            row = await _row(connection, key)
            if row is None or row["deleted_at"] is not None:
                return False
            generation = select(bases.c.generation).where(bases.c.tenant == key.tenant, bases.c.id == key.base)
            of_now = (await connection.execute(generation)).scalar_one()
            for index in await _indexes(connection, key):
                await forget_document(connection, key, index["number"])
                await throw_away(connection, "drop", ref_of(index, of_now), key.document, row["version"] + 1)
            for table in (pending, contents, texts):
                await connection.execute(delete(table).where(*_of(table, key)))
            gone = {**_BLANK, "current": 0, "state": "deleted", "deleted_at": now()}
            await connection.execute(update(documents).where(*_is(key)).values(**gone))
            await _grow(connection, key)
        return True

    async def _accept(
        self, connection: AsyncConnection, new: NewDocument, row: Row | None, *, exists: bool, sealed: bytes
    ) -> None:
        moment, version = now(), 1 if row is None else row["version"] + 1
        said = {
            "version": version,
            "state": "pending",
            "filename": new.filename,
            # What is found of the version before goes by its title until this one is.
            "title": new.title or (row["title"] if row else ""),
            "media_type": new.media_type or (row["media_type"] if row else ""),
            "language": new.language or (row["language"] if row else ""),
            "content_hash": new.content_hash,
            "fingerprint": new.fingerprint,
            "bytes": len(new.content),
            "failure": None,
            "original_kept": self._keeps_originals,
            "updated_at": moment,
        }
        if row is None or not exists:
            first = {
                "current": 0,
                "current_fingerprint": "",
                "found_since": 0,
                "characters": 0,
                "chunks": 0,
                "created_at": moment,
            }
            said |= first | {"attributes": as_json(new.attributes), "labels": list(new.labels), "deleted_at": None}
            said["changes"] = 0 if row is None else row["changes"] + 1
        if row is None:
            await connection.execute(insert(documents).values(**_named(new.key, "id"), **said))
        else:
            await connection.execute(update(documents).where(*_is(new.key)).values(**said))
        if row is not None and exists:
            await self._relabel(connection, row, new.attributes, new.labels)
        await self._queue(connection, new, version, sealed)

    async def _queue(self, connection: AsyncConnection, new: NewDocument, version: int, sealed: bytes) -> None:
        """Have a version be taken in, and none before it any more."""
        for table in (pending, contents):
            await connection.execute(delete(table).where(*_of(table, new.key)))
        named = _named(new.key, "document")
        await connection.execute(insert(contents).values(**named, version=version, content=sealed))
        await connection.execute(
            insert(pending).values(
                **named,
                version=version,
                title=new.title,
                language=new.language,
                media_type=new.media_type,
                put_at=time.time(),
                not_before=0.0,
                attempts=0,
                owner="",
                leased_until=0.0,
            )
        )

    async def _relabel(
        self,
        connection: AsyncConnection,
        row: Row,
        attributes: Sequence[Attribute] | None,
        labels: Sequence[str] | None,
    ) -> Row:
        """Change what is said of a document; its vectors follow."""
        key = Key(row["tenant"], row["base"], row["id"])
        kept = {
            "attributes": row["attributes"] if attributes is None else as_json(attributes),
            "labels": row["labels"] if labels is None else list(labels),
        }
        if kept == {name: row[name] for name in kept}:
            return row
        values = {**kept, "changes": documents.c.changes + 1, "updated_at": now()}
        await connection.execute(update(documents).where(*_is(key)).values(**values))
        for index in await _indexes(connection, key) if row["current"] else ():
            await throw_away(connection, "relabel", ref_of(index, 0), key.document)
        await _grow(connection, key)
        return {**row, **kept}

    async def _cancel(self, connection: AsyncConnection, key: Key, row: Row) -> None:
        if row["state"] != "pending":
            raise ResourceState(
                f"The document '{key.document}' is {row['state']}: its taking in has ended.",
                kind="document",
                name=key.document,
            )
        for table in (pending, contents):
            await connection.execute(delete(table).where(*_of(table, key)))
        values = {"state": "cancelled", "updated_at": now(), "original_kept": False}
        await connection.execute(update(documents).where(*_is(key)).values(**values))


_GOING_WELL = ("pending", "ready")
_BLANK = {
    "filename": "",
    "title": "",
    "attributes": [],
    "labels": [],
    "failure": None,
    "content_hash": "",
    "fingerprint": "",
    "current_fingerprint": "",
    "bytes": 0,
    "characters": 0,
    "chunks": 0,
    "original_kept": False,
}


def _check_version(new: NewDocument, row: Row | None) -> None:
    found = 0 if row is None else row["version"]
    if new.if_version and new.if_version != found:
        raise ResourceChanged(
            f"The document '{new.key.document}' has version {found}, not {new.if_version}: read it again.",
            kind="document",
            name=new.key.document,
        )


async def _check_room(connection: AsyncConnection, new: NewDocument, row: Row | None, limits: Limits) -> None:
    of_tenant = documents.c.tenant == new.key.tenant
    counted = select(func.sum(case((documents.c.deleted_at.is_(None), 1), else_=0)), func.sum(documents.c.bytes)).where(
        of_tenant
    )
    count, size = (await connection.execute(counted)).one()
    if (count or 0) + (row is None) > limits.documents:
        raise QuotaExhausted(
            f"The tenant has {limits.documents:,} documents, the most it may have: delete some.", limit="documents"
        )
    if (size or 0) - (0 if row is None else row["bytes"]) + len(new.content) > limits.bytes:
        raise QuotaExhausted(
            f"The tenant's documents may have {limits.bytes:,} bytes together: delete some.", limit="document_bytes"
        )


async def _row(connection: AsyncConnection, key: Key) -> Row | None:
    return (await connection.execute(select(documents).where(*_is(key)))).mappings().first()


async def _require(connection: AsyncConnection, key: Key) -> Row:
    row = await _row(connection, key)
    if row is None or row["deleted_at"] is not None:
        raise no_document(key.document)
    return row


async def _counted(connection: AsyncConnection, base: Row, rows: Sequence[Row]) -> list[Document]:
    """Return the documents of rows, with as many chunks as they have in the index that serves."""
    query = select(indexed.c.document, indexed.c.chunks).where(
        indexed.c.tenant == base["tenant"],
        indexed.c.base == base["id"],
        indexed.c.index_version == base["serving"],
        indexed.c.document.in_([row["id"] for row in rows]),
    )
    counts = dict((await connection.execute(query)).all())
    return [document_of({**row, "chunks": counts.get(row["id"], 0)}) for row in rows]


async def _indexes(connection: AsyncConnection, key: Key) -> Sequence[Row]:
    query = select(indexes).where(indexes.c.tenant == key.tenant, indexes.c.base == key.base)
    return (await connection.execute(query)).mappings().all()


async def _grow(connection: AsyncConnection, key: Key) -> None:
    """Have the knowledge base be another one than before, for whoever keeps what was found in it."""
    of_it = bases.c.tenant == key.tenant, bases.c.id == key.base
    await connection.execute(update(bases).where(*of_it).values(generation=bases.c.generation + 1))


def _is(key: Key) -> tuple[Any, Any, Any]:
    return documents.c.tenant == key.tenant, documents.c.base == key.base, documents.c.id == key.document


def _of(table: Any, key: Key) -> tuple[Any, Any, Any]:
    return table.c.tenant == key.tenant, table.c.base == key.base, table.c.document == key.document


def _named(key: Key, name: str) -> dict[str, str]:
    return {"tenant": key.tenant, "base": key.base, name: key.document}

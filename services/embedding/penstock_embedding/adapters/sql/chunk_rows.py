"""Chunks of a document in one version of an index, and the counts of words that go with them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_embedding.adapters.sql.database import Database
from penstock_embedding.adapters.sql.rows import sealed_body
from penstock_embedding.adapters.sql.tables import chunks, indexed, indexes
from penstock_embedding.domain.knowledge.records import Key, Made

_COUNT = text(
    "INSERT INTO knowledge_terms (tenant, base, index_version, term, chunks) "
    "VALUES (:tenant, :base, :index_version, :term, :chunks) "
    "ON CONFLICT (tenant, base, index_version, term) DO UPDATE SET chunks = knowledge_terms.chunks + excluded.chunks"
)


def rows_of(database: Database, made: Made) -> list[dict[str, Any]]:
    """Return the rows of its chunks, sealed."""
    index = made.index
    return [
        {
            "tenant": index.tenant,
            "base": index.base,
            "index_version": index.version,
            "id": chunk.id,
            "document": chunk.document,
            "document_version": chunk.document_version,
            "ordinal": chunk.ordinal,
            "start": chunk.start,
            "end": chunk.end,
            "page": chunk.page,
            "tokens": chunk.tokens,
            "body": sealed_body(database, index, chunk),
        }
        for chunk in made.chunks
    ]


async def remember_document(
    connection: AsyncConnection, key: Key, version: int, made: Made, rows: list[dict[str, Any]]
) -> None:
    """Add a document to the index, which has none of its chunks."""
    number = made.index.version
    named = {"tenant": key.tenant, "base": key.base, "index_version": number}
    if rows:
        await connection.execute(insert(chunks), rows)
    counts = [{**named, "term": term, "chunks": count} for term, count in sorted(made.terms.items())]
    if counts:
        await connection.execute(_COUNT, counts)
    packed = msgspec.msgpack.encode(dict(made.terms))
    await connection.execute(
        insert(indexed).values(**named, document=key.document, document_version=version, chunks=len(rows), terms=packed)
    )
    await _grow(connection, key, number, len(rows))


async def forget_document(connection: AsyncConnection, key: Key, number: int) -> None:
    """Take a document out of the index, whatever version of it is there."""
    of_it = (
        indexed.c.tenant == key.tenant,
        indexed.c.base == key.base,
        indexed.c.index_version == number,
        indexed.c.document == key.document,
    )
    row = (await connection.execute(select(indexed).where(*of_it))).mappings().first()
    if row is None:
        return
    named = {"tenant": key.tenant, "base": key.base, "index_version": number}
    counted = msgspec.msgpack.decode(row["terms"], type=dict[int, int])
    counts = [{**named, "term": term, "chunks": -count} for term, count in sorted(counted.items())]
    if counts:
        await connection.execute(_COUNT, counts)
    await connection.execute(
        delete(chunks).where(
            chunks.c.tenant == key.tenant,
            chunks.c.base == key.base,
            chunks.c.document == key.document,
            chunks.c.index_version == number,
        )
    )
    await connection.execute(delete(indexed).where(*of_it))
    await _grow(connection, key, number, -row["chunks"])


async def _grow(connection: AsyncConnection, key: Key, number: int, by: int) -> None:
    of_it = (indexes.c.tenant == key.tenant, indexes.c.base == key.base, indexes.c.number == number)
    await connection.execute(update(indexes).where(*of_it).values(chunks=indexes.c.chunks + by))

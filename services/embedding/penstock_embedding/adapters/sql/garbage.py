"""What is to be done to vectors, written down in the transaction that makes it necessary."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.contract.knowledge import Document
from penstock_embedding.adapters.sql.database import Database
from penstock_embedding.adapters.sql.rows import converted, document_of
from penstock_embedding.adapters.sql.tables import documents, garbage
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.records import Garbage


async def throw_away(
    connection: AsyncConnection, kind: str, index: IndexRef, document: str = "", before_version: int = 0
) -> None:
    """Write down what is to be done; see ``Garbage``."""
    await connection.execute(
        insert(garbage).values(
            tenant=index.tenant,
            base=index.base,
            kind=kind,
            index_ref=json.loads(msgspec.json.encode(index)),
            document=document,
            before_version=before_version,
            made_at=time.time(),
        )
    )


class SqlGarbage:
    """Implements ``GarbageHeap``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def some(self, limit: int) -> Sequence[Garbage]:
        """Return the oldest; see the port."""
        query = select(garbage).order_by(garbage.c.id).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            Garbage(
                row["id"],
                row["kind"],
                converted(row["index_ref"], IndexRef),
                row["document"],
                row["before_version"],
            )
            for row in rows
        ]

    async def done(self, ids: Sequence[int]) -> None:
        """Forget those that were done; see the port."""
        async with self._database.writing() as connection:
            await connection.execute(delete(garbage).where(garbage.c.id.in_(ids)))

    async def add(self, piece: Garbage) -> None:
        """Write one more down; see the port."""
        async with self._database.writing() as connection:
            await throw_away(connection, piece.kind, piece.index, piece.document, piece.before_version)

    async def document(self, tenant: str, base: str, document: str) -> Document | None:
        """Return a document as it is now; see the port."""
        conditions = (documents.c.tenant == tenant, documents.c.base == base, documents.c.id == document)
        query = select(documents).where(*conditions, documents.c.deleted_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else document_of(row)

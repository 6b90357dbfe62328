"""How far the taking in of a knowledge base is, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, func, select

from penstock_embedding.adapters.sql.database import Database, require_base
from penstock_embedding.adapters.sql.tables import documents, indexes
from penstock_embedding.domain.knowledge.records import IngestCounts


class SqlCounting:
    """Implements ``Counting``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def counts(self, tenant: str, base: str) -> IngestCounts:
        """Return how far it is; see the port."""
        column = documents.c

        def total(condition: Any, value: Any = 1) -> Any:
            return func.coalesce(func.sum(case((condition, value), else_=0)), 0)

        ended = column.state != "pending"
        counted = select(
            func.count(),
            total(column.state == "ready"),
            total(column.state == "failed"),
            total(column.state == "pending"),
            total(column.tenant == tenant, column.bytes),
            total(ended, column.bytes),
        ).where(column.tenant == tenant, column.base == base, column.deleted_at.is_(None))
        of_indexes = select(indexes.c.number, indexes.c.chunks).where(
            indexes.c.tenant == tenant, indexes.c.base == base, indexes.c.state != "failed"
        )
        async with self._database.reading() as connection:
            found = await require_base(connection, tenant, base)
            documents_, ready, failed, pending, bytes_total, bytes_done = (await connection.execute(counted)).one()
            in_chunks = dict((await connection.execute(of_indexes)).all())
        return IngestCounts(
            documents=int(documents_),
            ready=int(ready),
            failed=int(failed),
            pending=int(pending),
            chunks=int(in_chunks.get(found["serving"], 0)),
            vectors=int(sum(in_chunks.values())),
            bytes_total=int(bytes_total),
            bytes_done=int(bytes_done),
        )

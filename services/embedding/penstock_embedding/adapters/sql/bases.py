"""Knowledge bases in SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.contract.knowledge import Attribute, EvaluationQuery, KnowledgeBase
from penstock_common.errors import QuotaExhausted, ResourceExists
from penstock_embedding.adapters.sql.database import Database, as_json, lock_base, place, require_base, row_of_base
from penstock_embedding.adapters.sql.garbage import throw_away
from penstock_embedding.adapters.sql.rows import converted, in_utc, now, ref_of
from penstock_embedding.adapters.sql.tables import (
    bases,
    chunks,
    contents,
    documents,
    indexed,
    indexes,
    pending,
    terms,
    texts,
)
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.records import Page

_KEPT_PER_DOCUMENT = (pending, contents, texts, indexed, chunks, terms)


class SqlBases:
    """Implements ``Bases``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        """Return one; see the port."""
        async with self._database.reading() as connection:
            row = await require_base(connection, tenant, base)
            return (await _told(connection, [row]))[0]

    async def list(self, tenant: str, page: Page) -> Sequence[KnowledgeBase]:
        """Return a page; see the port."""
        query = select(bases).where(bases.c.tenant == tenant, bases.c.deleted_at.is_(None)).limit(page.limit)
        if page.after:
            query = query.where(bases.c.id < page.after if page.descending else bases.c.id > page.after)
        query = query.order_by(bases.c.id.desc() if page.descending else bases.c.id)
        async with self._database.reading() as connection:
            return await _told(connection, (await connection.execute(query)).mappings().all())

    async def create(self, base: KnowledgeBase, index: IndexRef, most: int) -> KnowledgeBase:
        """Make one with an empty index that serves; see the port."""
        tenant = index.tenant
        async with self._database.writing() as connection:
            row = await row_of_base(connection, tenant, base.id, locked=True)
            if row is not None and row["deleted_at"] is None:
                raise ResourceExists(f"There is a knowledge base '{base.id}'.", kind="knowledge base", name=base.id)
            count = (
                select(func.count()).select_from(bases).where(bases.c.tenant == tenant, bases.c.deleted_at.is_(None))
            )
            if (await connection.execute(count)).scalar_one() >= most:
                raise QuotaExhausted(
                    f"The tenant has {most} knowledge bases, the most it may have: delete one.", limit="knowledge_bases"
                )
            number = 1 if row is None else row["next_index"]
            values = {
                "name": base.name,
                "attributes": as_json(base.attributes),
                "serving": number,
                "previous": 0,
                "next_index": number + 1,
                "generation": 1 if row is None else row["generation"] + 1,
                "evaluation": None,
                "evaluation_queries": 0,
                "created_at": base.created_at,
                "deleted_at": None,
            }
            if row is None:
                await connection.execute(insert(bases).values(tenant=tenant, id=base.id, **values))
            else:
                await connection.execute(update(bases).where(*_is(tenant, base.id)).values(**values))
            await add_index(connection, index._replace(version=number), "ready")
        return await self.get(tenant, base.id)

    async def change(self, tenant: str, base: str, name: str, attributes: Sequence[Attribute]) -> KnowledgeBase:
        """Change name and attributes; see the port."""
        async with self._database.writing() as connection:
            await lock_base(connection, tenant, base)
            values = {"name": name, "attributes": as_json(attributes)}
            await connection.execute(update(bases).where(*_is(tenant, base)).values(**values))
        return await self.get(tenant, base)

    async def delete(self, tenant: str, base: str) -> bool:
        """Delete one with all that is in it; see the port."""
        async with self._database.writing() as connection:
            row = await row_of_base(connection, tenant, base, locked=True)
            if row is None or row["deleted_at"] is not None:
                return False
            found = select(indexes).where(indexes.c.tenant == tenant, indexes.c.base == base)
            for index in (await connection.execute(found)).mappings().all():
                await throw_away(connection, "index", ref_of(index, row["generation"]))
            for table in (*_KEPT_PER_DOCUMENT, documents, indexes):
                await connection.execute(delete(table).where(table.c.tenant == tenant, table.c.base == base))
            gone = {
                "name": "",
                "attributes": [],
                "serving": 0,
                "previous": 0,
                "evaluation": None,
                "evaluation_queries": 0,
                "generation": bases.c.generation + 1,
                "deleted_at": now(),
            }
            await connection.execute(update(bases).where(*_is(tenant, base)).values(**gone))
        return True

    async def put_evaluation(self, tenant: str, base: str, queries: Sequence[EvaluationQuery]) -> None:
        """Keep the questions of one; see the port."""
        sealed = self._database.sealer.seal(tenant, place("evaluation", base), msgspec.msgpack.encode(list(queries)))
        values = {"evaluation": sealed if queries else None, "evaluation_queries": len(queries)}
        async with self._database.writing() as connection:
            await lock_base(connection, tenant, base)
            await connection.execute(update(bases).where(*_is(tenant, base)).values(**values))

    async def evaluation(self, tenant: str, base: str) -> Sequence[EvaluationQuery]:
        """Return the questions of one; see the port."""
        async with self._database.reading() as connection:
            row = await require_base(connection, tenant, base)
        if row["evaluation"] is None:
            return ()
        content = self._database.sealer.open(tenant, place("evaluation", base), row["evaluation"])
        return msgspec.msgpack.decode(content, type=tuple[EvaluationQuery, ...])

    async def labels(self, tenant: str, base: str) -> Sequence[str]:
        """Return every label of its documents; see the port."""
        query = select(documents.c.labels).where(documents.c.tenant == tenant, documents.c.base == base).distinct()
        if self._database.is_shared:
            # PostgreSQL compares no JSON.
            query = select(documents.c.labels).where(documents.c.tenant == tenant, documents.c.base == base)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).scalars().all()
        return sorted({label for labels in rows for label in labels})


async def add_index(connection: AsyncConnection, index: IndexRef, state: str) -> None:
    """Add a version to the index of a knowledge base."""
    await connection.execute(
        insert(indexes).values(
            tenant=index.tenant,
            base=index.base,
            number=index.version,
            spec=json.loads(msgspec.json.encode(index.spec)),
            model_revision=index.model_revision,
            dimension=index.dimension,
            analysis=index.analysis,
            state=state,
            error="",
            quality=[],
            chunks=0,
            created_at=now(),
            retired_at=None,
            owner="",
            leased_until=0.0,
        )
    )


def _is(tenant: str, base: str) -> tuple[Any, Any]:
    return bases.c.tenant == tenant, bases.c.id == base


async def _told(connection: AsyncConnection, rows: Sequence[Mapping[Any, Any]]) -> list[KnowledgeBase]:
    if not rows:
        return []
    tenant, names = rows[0]["tenant"], [row["id"] for row in rows]

    def count(condition: Any, name: str) -> Any:
        return func.sum(case((condition, 1), else_=0)).label(name)

    of_documents = (
        select(
            documents.c.base,
            count(documents.c.current > 0, "found"),
            count(documents.c.state == "pending", "pending"),
            count(documents.c.state == "failed", "failed"),
            count(documents.c.state == "cancelled", "cancelled"),
            func.sum(documents.c.bytes).label("bytes"),
        )
        .where(documents.c.tenant == tenant, documents.c.base.in_(names), documents.c.deleted_at.is_(None))
        .group_by(documents.c.base)
    )
    counted = {row["base"]: row for row in (await connection.execute(of_documents)).mappings().all()}
    serving = (
        select(indexes.c.base, indexes.c.chunks)
        .join(bases, (bases.c.tenant == indexes.c.tenant) & (bases.c.id == indexes.c.base))
        .where(bases.c.tenant == tenant, bases.c.id.in_(names), indexes.c.number == bases.c.serving)
    )
    in_chunks = dict((await connection.execute(serving)).all())
    return [_base_of(row, counted.get(row["id"]) or {}, in_chunks.get(row["id"], 0)) for row in rows]


def _base_of(row: Mapping[Any, Any], counted: Mapping[Any, Any], in_chunks: int) -> KnowledgeBase:
    return KnowledgeBase(
        id=row["id"],
        name=row["name"],
        attributes=converted(row["attributes"], tuple[Attribute, ...]),
        serving=row["serving"],
        documents=int(counted.get("found", 0)),
        chunks=in_chunks,
        bytes=int(counted.get("bytes", 0)),
        created_at=in_utc(row["created_at"]),
        generation=row["generation"],
        evaluation_queries=row["evaluation_queries"],
        documents_pending=int(counted.get("pending", 0)),
        documents_failed=int(counted.get("failed", 0)),
        documents_cancelled=int(counted.get("cancelled", 0)),
    )

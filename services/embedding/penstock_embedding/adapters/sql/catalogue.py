"""What searches believe: indexes, words and chunks that are there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from penstock_common.errors import ResourceNotFound, ResourceState
from penstock_embedding.adapters.sql.database import Database, require_base
from penstock_embedding.adapters.sql.rows import chunk_of, document_of, ref_of
from penstock_embedding.adapters.sql.tables import chunks, documents, indexes
from penstock_embedding.adapters.sql.tables import terms as counted
from penstock_embedding.domain.knowledge.ports import FoundChunk, IndexRef

Row = Mapping[Any, Any]
# Databases take so many values of one statement: 999 of an old SQLite.
_MOST_VALUES = 500


class SqlCatalogue:
    """Implements ``Catalogue``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def index(self, tenant: str, base: str, version: int = 0) -> IndexRef:
        """Return a version; see the port."""
        async with self._database.reading() as connection:
            found = await require_base(connection, tenant, base)
            number = version or found["serving"]
            of_it = indexes.c.tenant == tenant, indexes.c.base == base, indexes.c.number == number
            row = (await connection.execute(select(indexes).where(*of_it))).mappings().first()
        if row is None:
            raise ResourceNotFound(
                f"The knowledge base '{base}' has no index version {number}.", kind="index", name=str(number)
            )
        if row["state"] != "ready":
            raise ResourceState(
                f"Index version {number} of '{base}' is {row['state']}: wait until it is ready.",
                kind="index",
                name=str(number),
            )
        return ref_of(row, found["generation"])

    async def term_counts(self, index: IndexRef, terms: Sequence[int]) -> Mapping[int, int]:
        """Return in how many chunks each word is; see the port."""
        of_it = counted.c.tenant == index.tenant, counted.c.base == index.base, counted.c.index_version == index.version
        query = select(counted.c.term, counted.c.chunks).where(*of_it)
        counts: dict[int, int] = {}
        async with self._database.reading() as connection:
            for some in _parts(terms):
                rows = (await connection.execute(query.where(counted.c.term.in_(some)))).all()
                counts.update({term: count for term, count in rows if count > 0})
        return counts

    async def chunks(self, index: IndexRef, ids: Sequence[str]) -> Mapping[str, FoundChunk]:
        """Return those that are current; see the port."""
        of_it = chunks.c.tenant == index.tenant, chunks.c.base == index.base, chunks.c.index_version == index.version
        found: dict[str, FoundChunk] = {}
        async with self._database.reading() as connection:
            for some in _parts(ids):
                rows = (await connection.execute(select(chunks).where(*of_it, chunks.c.id.in_(some)))).mappings().all()
                names = sorted({row["document"] for row in rows})
                of_these = documents.c.tenant == index.tenant, documents.c.base == index.base, documents.c.id.in_(names)
                owners = (await connection.execute(select(documents).where(*of_these))).mappings().all()
                by_name = {row["id"]: row for row in owners}
                found |= {
                    row["id"]: FoundChunk(chunk_of(self._database, row), document_of(by_name[row["document"]]))
                    for row in rows
                    if _was_found(by_name.get(row["document"]), row, index)
                }
        return found


def _was_found(document: Row | None, chunk: Row, index: IndexRef) -> bool:
    """Return whether a chunk is of what was found when the search began.

    Of what became current meanwhile the search may have seen some vectors, and not the others.
    """
    if document is None or document["current"] != chunk["document_version"]:
        return False
    is_of_then: bool = document["found_since"] <= index.generation
    return is_of_then


def _parts(values: Sequence[int] | Sequence[str]) -> list[Sequence[int] | Sequence[str]]:
    return [values[start : start + _MOST_VALUES] for start in range(0, len(values), _MOST_VALUES)]

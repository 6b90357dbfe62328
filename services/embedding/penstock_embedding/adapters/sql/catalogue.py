"""What searches believe: indexes, words and chunks that are there now. Each question is one statement, so of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from penstock_common.contract.knowledge import Attribute
from penstock_common.errors import ResourceNotFound, ResourceState
from penstock_embedding.adapters.sql.database import Database, no_base
from penstock_embedding.adapters.sql.reading import Reader
from penstock_embedding.adapters.sql.rows import chunk_of, converted, document_of, ref_of
from penstock_embedding.domain.knowledge.ports import FoundChunk, IndexRef, WholeChunk

Row = Mapping[str, Any]
# Of the 32,766 values that SQLite takes in one statement, and the 32,767 of PostgreSQL.
_MOST_VALUES = 10_000
_INDEX = """
SELECT b.id AS found, b.serving, b.generation, i.tenant, i.base, i.number, i.spec, i.model_revision, i.dimension, i.state,
       i.chunks, i.analysis
FROM knowledge_bases b LEFT JOIN knowledge_indexes i
  ON i.tenant = b.tenant AND i.base = b.id AND i.number = {number}
WHERE b.tenant = :tenant AND b.id = :base AND b.deleted_at IS NULL
"""
_SERVING = _INDEX.format(number="b.serving")
_NAMED = _INDEX.format(number=":version")
_TERMS = """
SELECT term, chunks FROM knowledge_terms
WHERE tenant = :tenant AND base = :base AND index_version = :version AND chunks > 0 AND term IN ({terms})
"""
# Of what became current after the search began, it may have seen some vectors and not the others.
_CHUNKS = """
SELECT c.tenant, c.base, c.index_version, c.id AS chunk, c.document, c.document_version, c.ordinal, c.start, c."end", c.page,
       c.tokens, c.body, d.id, d.filename, d.title, d.media_type, d.attributes, d.labels, d.language, d.content_hash,
       d.version, d.bytes, d.characters, d.chunks, d.state, d.failure, d.created_at, d.updated_at, d.original_kept
FROM knowledge_chunks c JOIN knowledge_documents d
  ON d.tenant = c.tenant AND d.base = c.base AND d.id = c.document AND d.current = c.document_version
WHERE c.tenant = :tenant AND c.base = :base AND c.index_version = :version AND d.found_since <= :generation
  AND c.id IN ({ids})
"""


class SqlCatalogue:
    """Implements ``Catalogue``."""

    def __init__(self, database: Database, reader: Reader) -> None:
        self._database = database
        self._reader = reader

    async def index(self, tenant: str, base: str, version: int = 0) -> IndexRef:
        """Return a version; see the port."""
        values: dict[str, Any] = {"tenant": tenant, "base": base}
        if version:
            values["version"] = version
        rows = await self._reader.rows(_NAMED if version else _SERVING, values)
        if not rows:
            raise no_base(base)
        row = rows[0]
        number = version or row["serving"]
        if row["number"] is None:
            raise ResourceNotFound(
                f"The knowledge base '{base}' has no index version {number}.", kind="index", name=str(number)
            )
        if row["state"] != "ready":
            raise ResourceState(
                f"Index version {number} of '{base}' is {row['state']}: wait until it is ready.",
                kind="index",
                name=str(number),
            )
        return ref_of({**row, "spec": _parsed(row["spec"])}, row["generation"])

    async def term_counts(self, index: IndexRef, terms: Sequence[int]) -> Mapping[int, int]:
        """Return in how many chunks each word is; see the port."""
        counts: dict[int, int] = {}
        for some in _parts(terms):
            names, values = _named("t", some)
            rows = await self._reader.rows(_TERMS.format(terms=names), {**_place(index), **values})
            counts.update({row["term"]: row["chunks"] for row in rows})
        return counts

    async def chunks(self, index: IndexRef, ids: Sequence[str]) -> Mapping[str, FoundChunk]:
        """Return those that are current; see the port."""
        found: dict[str, FoundChunk] = {}
        for some in _parts(ids):
            names, values = _named("i", some)
            place = {**_place(index), "generation": index.generation}
            for row in await self._reader.rows(_CHUNKS.format(ids=names), {**place, **values}):
                found[row["chunk"]] = FoundChunk(
                    id=row["chunk"],
                    document=row["document"],
                    start=row["start"],
                    end=row["end"],
                    labels=_parsed(row["labels"]),
                    attributes=converted(_parsed(row["attributes"]), tuple[Attribute, ...]),
                    whole=partial(_whole, self._database, row),
                )
        return found


def _whole(database: Database, row: Row) -> WholeChunk:
    return WholeChunk(chunk_of(database, {**row, "id": row["chunk"]}), document_of(_decoded(row)))


def _place(index: IndexRef) -> dict[str, Any]:
    return {"tenant": index.tenant, "base": index.base, "version": index.version}


def _named(prefix: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Return places for values, and the values by their names."""
    by_name = {f"{prefix}{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in by_name), by_name


def _decoded(row: Row) -> Row:
    """Return a document's row with its columns as the dialect would read them."""
    return {
        **row,
        "attributes": _parsed(row["attributes"]),
        "labels": _parsed(row["labels"]),
        "failure": _parsed(row["failure"]),
        "created_at": _moment(row["created_at"]),
        "updated_at": _moment(row["updated_at"]),
        "original_kept": bool(row["original_kept"]),
    }


def _parsed(column: Any) -> Any:
    return msgspec.json.decode(column) if isinstance(column, str) else column


def _moment(column: Any) -> datetime:
    return datetime.fromisoformat(column) if isinstance(column, str) else column


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _MOST_VALUES] for start in range(0, len(values), _MOST_VALUES)]

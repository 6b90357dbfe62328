"""Vectors and words of chunks in a vector store."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from array import array
from collections.abc import Iterable, Sequence

from penstock_common.contract.knowledge import Document
from penstock_common.points.conditions import AllOf, AnyOf, Condition, In, Not
from penstock_common.points.store import Collection, Engine, Payload, Point, Points, Scored, Where
from penstock_embedding.adapters.chunk_filters import condition_of, keywords_of
from penstock_embedding.domain.knowledge.ports import IndexedChunk, IndexRef, Near, Scope, Terms

SCHEMA = 1
"""Of the payload. Another number begins new collections, which hold nothing: indexes are to be built again."""
BATCH = 256
"""Chunks that are put at once."""
LEAST_KEY_BYTES = 16
_CHUNK, _DOCUMENT, _LABELS, _ATTRIBUTES, _VERSION = "chunk", "document", "labels", "attributes", "version"
_NAME_HEX = 24
_NAMESPACE = uuid.UUID("3f0b7d4c-5c0f-5b1e-9d0a-7d6a0a3f6f51")
_BELOW_ANY_COSINE = -2.0


class QdrantChunkVectors:
    """Implements ``ChunkVectors`` over an engine.

    All indexes of one model's revision lie in one collection. There each version of a knowledge base is what the store
    takes for a tenant: it has a graph of its own, nothing of it is ever compared with another's, and what an engine that
    lost its filter would show of others is thrown away by ``Points``.

    Nobody who reads the store learns names or contents: of tenants, documents, labels and attributes it sees keyed hashes.
    """

    def __init__(self, engine: Engine, naming_key: bytes) -> None:
        """With another ``naming_key`` nothing that was put is found any more.

        Raises:
            ValueError: if the key has fewer than 16 bytes.
        """
        if len(naming_key) < LEAST_KEY_BYTES:
            raise ValueError(f"a naming key has at least {LEAST_KEY_BYTES} bytes, not {len(naming_key)}")
        self._engine = engine
        self._key = naming_key

    async def put(self, index: IndexRef, document: Document, chunks: Sequence[IndexedChunk]) -> None:
        """Have searches of the version find the chunks."""
        points, partition = self._points(index), self._partition(index)
        shared = {_DOCUMENT: self._document(index, document.id), **self._open_to(index, document)}
        for start in range(0, len(chunks), BATCH):
            await points.put([_point(partition, shared, each) for each in chunks[start : start + BATCH]])

    async def relabel(self, index: IndexRef, document: Document) -> None:
        """Give the chunks of a document its labels and attributes of now."""
        where = self._where(index, equal={_DOCUMENT: self._document(index, document.id)})
        await self._points(index).set_payload(where, self._open_to(index, document))

    async def drop_document(self, index: IndexRef, document: str, *, before_version: int = 0) -> None:
        """Delete a document's chunks, or those of its versions before one."""
        below = {_VERSION: float(before_version)} if before_version else {}
        where = self._where(index, equal={_DOCUMENT: self._document(index, document)})
        await self._points(index).delete(where._replace(below=below))

    async def drop_index(self, index: IndexRef) -> None:
        """Delete all chunks of the version."""
        await self._points(index).drop_tenant(self._partition(index))

    async def dense(self, scope: Scope, vector: array[float], limit: int) -> Sequence[Near]:
        """Return the nearest."""
        found = await self._points(scope.version).nearest(
            vector, self._where_in(scope), limit=limit, floor=_BELOW_ANY_COSINE, fields=(_CHUNK,)
        )
        return [_near(each) for each in found]

    async def sparse(self, scope: Scope, terms: Terms, limit: int) -> Sequence[Near]:
        """Return those with the highest sum of products."""
        points, where = self._points(scope.version), self._where_in(scope)
        return [_near(each) for each in await points.matching(terms, where, limit=limit, fields=(_CHUNK,))]

    def _points(self, index: IndexRef) -> Points:
        return self._engine.points(collection_of(index))

    def _where(self, index: IndexRef, *, equal: dict[str, str]) -> Where:
        return Where(self._partition(index), equal)

    def _where_in(self, scope: Scope) -> Where:
        index = scope.version
        labels = (self._everyone(index), *self._hashed(index, "label", dict.fromkeys(scope.labels)))
        only = condition_of(scope.filter, _ATTRIBUTES)
        hashed = None if only is None else self._hashed_values(index, only)
        return Where(self._partition(index), any_of={_LABELS: labels}, only=hashed)

    def _open_to(self, index: IndexRef, document: Document) -> Payload:
        """Return the part of the payload that changes while the chunks stay."""
        labels = self._hashed(index, "label", document.labels) or [self._everyone(index)]
        return {_LABELS: labels, _ATTRIBUTES: self._hashed(index, "attribute", keywords_of(document.attributes))}

    def _hashed_values(self, index: IndexRef, condition: Condition) -> Condition:
        if isinstance(condition, In):
            return In(field=condition.field, values=self._hashed(index, "attribute", condition.values))
        if isinstance(condition, Not):
            return Not(of=self._hashed_values(index, condition.of))
        kind = AllOf if isinstance(condition, AllOf) else AnyOf
        return kind(of=[self._hashed_values(index, one) for one in condition.of])

    def _partition(self, index: IndexRef) -> str:
        return self._name("index", index, str(index.version))

    def _document(self, index: IndexRef, document: str) -> str:
        return self._name("document", index, document)

    def _everyone(self, index: IndexRef) -> str:
        # Of another kind than labels, so that none can be called like it.
        return self._name("everyone", index, "")

    def _hashed(self, index: IndexRef, kind: str, texts: Iterable[str]) -> list[str]:
        return [self._name(kind, index, text) for text in texts]

    def _name(self, kind: str, index: IndexRef, text: str) -> str:
        meant = f"{kind}\0{index.tenant}\0{index.base}\0{text}"
        return hmac.digest(self._key, meant.encode(), hashlib.sha256).hex()[:_NAME_HEX]


def collection_of(index: IndexRef) -> Collection:
    """Return where the chunks lie of all indexes that the same revision of the same model makes."""
    return Collection(
        purpose="knowledge",
        schema=SCHEMA,
        model=index.spec.model or "own",
        revision=index.model_revision,
        dimension=index.dimension,
        keywords=(_DOCUMENT, _LABELS, _ATTRIBUTES),
        numbers=(_VERSION,),
        sparse=True,
    )


def _point(partition: str, shared: Payload, each: IndexedChunk) -> Point:
    chunk = each.chunk
    payload = {**shared, _CHUNK: chunk.id, _VERSION: chunk.document_version}
    # Versions of an index with one splitter have chunks of the same ids, and a collection has a point of an id once.
    point_id = str(uuid.uuid5(_NAMESPACE, f"{partition}\0{chunk.id}"))
    return Point(point_id, partition, each.vector, payload, each.terms)


def _near(found: Scored) -> Near:
    chunk = found.payload[_CHUNK]
    assert isinstance(chunk, str)
    return Near(chunk, found.score)

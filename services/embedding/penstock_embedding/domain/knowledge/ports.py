"""What searching and taking in need of each other and of the world."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from penstock_common.contract.knowledge import Attribute, Chunk, Document, Filter, IndexSpec
from penstock_embedding.domain.chunking.piece import TokenCounter

Terms = Mapping[int, float]
"""Weights of words, by 32-bit hashes of their stems."""


class QueryVector(NamedTuple):
    """A question's vector, and what it cost; ``truncated`` if only its head fits the model's window."""

    vector: array[float]
    tokens: int
    truncated: bool
    cost_nano_usd: int = 0


class KnowledgeModel(Protocol):
    """An embedding model, with the prefixes that its questions and passages want."""

    @property
    def name(self) -> str:
        """What specs name."""
        ...

    @property
    def counter(self) -> TokenCounter:
        """Its tokenizer; the prefix of passages counts."""
        ...

    async def revision(self) -> str:
        """Return what tells its vectors from another's: weights, prefixes, pooling."""
        ...

    async def dimension(self) -> int:
        """Return how many values a vector has."""
        ...

    async def passages(self, texts: Sequence[str]) -> list[array[float]]:
        """Return unit vectors in the order of the texts. Callers who wait for questions go first."""
        ...

    async def query(self, text: str, deadline: float | None) -> QueryVector:
        """Return a question's unit vector."""
        ...


class Models(Protocol):
    """The models that indexes can be made with."""

    def model(self, name: str) -> KnowledgeModel:
        """Return one; an empty name is the service's own.

        Raises:
            ModelNotFound: if there is none of the name.
        """
        ...


class IndexRef(NamedTuple):
    """A version of an index that can be searched."""

    tenant: str
    base: str
    version: int
    spec: IndexSpec
    model_revision: str
    dimension: int
    generation: int
    """Of the knowledge base."""
    chunks: int
    """In the version."""
    analysis: int
    """How its words were made: those of another way do not meet them."""


class WholeChunk(NamedTuple):
    """A chunk with its text, and its document."""

    chunk: Chunk
    document: Document


@dataclass(slots=True)
class FoundChunk:
    """A chunk that is current: where it stands, and what its document may be filtered by.

    Of hundreds that a search finds it shows ten, so what they say is opened when it is asked for.
    """

    id: str
    document: str
    start: int
    end: int
    labels: Sequence[str]
    attributes: Sequence[Attribute]
    whole: Callable[[], WholeChunk]

    @classmethod
    def of(cls, chunk: Chunk, document: Document) -> Self:
        """Return a chunk that is open."""
        whole = WholeChunk(chunk, document)
        return cls(
            chunk.id, chunk.document, chunk.start, chunk.end, document.labels, document.attributes, lambda: whole
        )


class Catalogue(Protocol):
    """What stands about indexes, documents and chunks. It is the truth; vectors may be there that have no chunk any more."""

    async def index(self, tenant: str, base: str, version: int = 0) -> IndexRef:
        """Return a version; 0 is the one that serves.

        Raises:
            ResourceNotFound: if the tenant has no such knowledge base or version, or nothing serves yet.
        """
        ...

    async def term_counts(self, index: IndexRef, terms: Sequence[int]) -> Mapping[int, int]:
        """Return in how many chunks of the version each term is."""
        ...

    async def chunks(self, index: IndexRef, ids: Sequence[str]) -> Mapping[str, FoundChunk]:
        """Return those of the ids that are chunks of the version now, all of one moment."""
        ...


class Scope(NamedTuple):
    """Which chunks a search may find: of one version, of documents without labels or with one of these."""

    version: IndexRef
    labels: Sequence[str]
    filter: Filter | None = None


class Near(NamedTuple):
    """A chunk's id, and its score in one way to search."""

    id: str
    score: float


class IndexedChunk(NamedTuple):
    """A chunk as it is put into an index."""

    chunk: Chunk
    vector: array[float]
    terms: Terms


class ChunkVectors(Protocol):
    """Vectors and words of chunks, in a vector store. Each method raises ``PointsUnavailable`` where it does not answer."""

    async def put(self, index: IndexRef, document: Document, chunks: Sequence[IndexedChunk]) -> None:
        """Have searches of the version find the chunks; again for the same changes nothing."""
        ...

    async def relabel(self, index: IndexRef, document: Document) -> None:
        """Give the chunks of a document its labels and attributes of now."""
        ...

    async def drop_document(self, index: IndexRef, document: str, *, before_version: int = 0) -> None:
        """Delete a document's chunks, or those of its versions before one."""
        ...

    async def drop_index(self, index: IndexRef) -> None:
        """Delete all chunks of the version."""
        ...

    async def dense(self, scope: Scope, vector: array[float], limit: int) -> Sequence[Near]:
        """Return the nearest, by cosine, the nearest first."""
        ...

    async def sparse(self, scope: Scope, terms: Terms, limit: int) -> Sequence[Near]:
        """Return those with the highest sum of products of weights, the highest first; none without a common term."""
        ...

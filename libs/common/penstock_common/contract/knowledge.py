"""Documents and how they are searched: the values of ``penstock.knowledge.v1``, whose comments give units and bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from penstock_common.llm.types import Value

SplitterKind = Literal["", "auto", "recursive", "markdown", "html", "code", "table", "semantic"]
IndexState = Literal["", "building", "ready", "serving", "failed"]
DocumentState = Literal["", "pending", "ready", "failed", "cancelled"]
SearchMode = Literal["", "hybrid", "dense", "sparse", "hybrid_rerank"]
ComparisonOperator = Literal["", "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]


class AttributeValue(Value, frozen=True):
    """One of its fields is not None."""

    text: str | None = None
    number: float | None = None
    flag: bool | None = None


class Attribute(Value, frozen=True):
    """What a document is found by besides its text."""

    name: str
    value: AttributeValue


class Splitter(Value, frozen=True):
    """How documents become chunks; 0 and None are the defaults."""

    kind: SplitterKind = ""
    max_tokens: int = 0
    overlap_tokens: int | None = None


class IndexSpec(Value, frozen=True):
    """What an index is made with; an empty model is the service's own."""

    model: str = ""
    splitter: Splitter = Splitter()


class RetrievalQuality(Value, frozen=True):
    """How well a mode answers the questions of an evaluation."""

    mode: SearchMode
    queries: int
    ndcg: float
    recall: float
    precision: float
    reciprocal_rank: float
    hit_at_1: float


class IndexVersion(Value, frozen=True, kw_only=True):
    """One version of a knowledge base's index."""

    number: int
    spec: IndexSpec
    model_revision: str
    dimension: int
    state: IndexState
    documents: int = 0
    documents_total: int = 0
    chunks: int = 0
    error: str = ""
    created_at: datetime
    quality: Sequence[RetrievalQuality] = ()


class KnowledgeBase(Value, frozen=True, kw_only=True):
    """Documents that are searched together."""

    id: str
    name: str = ""
    attributes: Sequence[Attribute] = ()
    serving: int = 0
    documents: int = 0
    chunks: int = 0
    bytes: int = 0
    created_at: datetime
    generation: int = 0
    evaluation_queries: int = 0
    documents_pending: int = 0
    documents_failed: int = 0
    documents_cancelled: int = 0


class DocumentFailure(Value, frozen=True):
    """Why a document could not be taken in."""

    reason: str
    message: str
    place: str = ""


class Document(Value, frozen=True, kw_only=True):
    """A document of a knowledge base, without its text."""

    id: str
    knowledge_base: str
    filename: str = ""
    title: str = ""
    media_type: str = ""
    attributes: Sequence[Attribute] = ()
    labels: Sequence[str] = ()
    language: str = ""
    content_hash: str = ""
    version: int = 1
    bytes: int = 0
    characters: int = 0
    chunks: int = 0
    state: DocumentState = "pending"
    failure: DocumentFailure | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    original_kept: bool = False


class Chunk(Value, frozen=True, kw_only=True):
    """A part of a document: ``text`` is the document's ``text[start:end]``."""

    id: str
    document: str
    document_version: int
    ordinal: int
    text: str
    start: int
    end: int
    headings: Sequence[str] = ()
    page: int = 0
    tokens: int = 0


class Comparison(Value, frozen=True):
    """What an attribute is compared with."""

    attribute: str
    operator: ComparisonOperator
    values: Sequence[AttributeValue]


class Filter(Value, frozen=True):
    """Which documents are meant: one field is set; none means all."""

    comparison: Comparison | None = None
    all_of: Sequence[Filter] = ()
    any_of: Sequence[Filter] = ()


class SearchOptions(Value, frozen=True, kw_only=True):
    """How hits are chosen; what is 0 or empty has the default."""

    mode: SearchMode = ""
    limit: int = 0
    filter: Filter | None = None
    min_score: float = 0.0
    diversity: float = 0.0
    max_per_document: int = 0
    index_version: int = 0


class HitScores(Value, frozen=True):
    """How a hit came about; None took no part."""

    dense: float | None = None
    sparse: float | None = None
    fused: float | None = None
    rerank: float | None = None


class Hit(Value, frozen=True, kw_only=True):
    """A chunk that was found."""

    chunk: Chunk
    knowledge_base: str
    title: str = ""
    filename: str = ""
    attributes: Sequence[Attribute] = ()
    score: float
    scores: HitScores = HitScores()
    snippet: str = ""
    snippet_start: int = 0
    snippet_end: int = 0


class SearchedIndex(Value, frozen=True, kw_only=True):
    """The index that answered for a knowledge base."""

    knowledge_base: str
    version: int
    model: str
    model_revision: str
    generation: int


class SearchResult(Value, frozen=True, kw_only=True):
    """What was found, the best first."""

    hits: Sequence[Hit] = ()
    searched: Sequence[SearchedIndex] = ()
    degraded: Sequence[str] = ()
    query_truncated: bool = False
    query_tokens: int = 0
    query_cost_nano_usd: int = 0


class RelevantDocument(Value, frozen=True):
    """A document that answers a question; grade 3 whole, 2 in part, 1 is background."""

    document: str
    grade: int


class EvaluationQuery(Value, frozen=True):
    """A question, and what answers it."""

    query: str
    relevant: Sequence[RelevantDocument]


class IngestProgress(Value, frozen=True, kw_only=True):
    """How far the taking in is."""

    documents_total: int = 0
    documents_done: int = 0
    documents_failed: int = 0
    chunks: int = 0
    vectors: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    seconds_left: float | None = None

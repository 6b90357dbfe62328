from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SplitterKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPLITTER_KIND_UNSPECIFIED: _ClassVar[SplitterKind]
    SPLITTER_KIND_AUTO: _ClassVar[SplitterKind]
    SPLITTER_KIND_RECURSIVE: _ClassVar[SplitterKind]
    SPLITTER_KIND_MARKDOWN: _ClassVar[SplitterKind]
    SPLITTER_KIND_HTML: _ClassVar[SplitterKind]
    SPLITTER_KIND_CODE: _ClassVar[SplitterKind]
    SPLITTER_KIND_TABLE: _ClassVar[SplitterKind]
    SPLITTER_KIND_SEMANTIC: _ClassVar[SplitterKind]

class IndexState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INDEX_STATE_UNSPECIFIED: _ClassVar[IndexState]
    INDEX_STATE_BUILDING: _ClassVar[IndexState]
    INDEX_STATE_READY: _ClassVar[IndexState]
    INDEX_STATE_SERVING: _ClassVar[IndexState]
    INDEX_STATE_FAILED: _ClassVar[IndexState]

class DocumentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOCUMENT_STATE_UNSPECIFIED: _ClassVar[DocumentState]
    DOCUMENT_STATE_PENDING: _ClassVar[DocumentState]
    DOCUMENT_STATE_READY: _ClassVar[DocumentState]
    DOCUMENT_STATE_FAILED: _ClassVar[DocumentState]
    DOCUMENT_STATE_CANCELLED: _ClassVar[DocumentState]

class SearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_MODE_UNSPECIFIED: _ClassVar[SearchMode]
    SEARCH_MODE_HYBRID: _ClassVar[SearchMode]
    SEARCH_MODE_DENSE: _ClassVar[SearchMode]
    SEARCH_MODE_SPARSE: _ClassVar[SearchMode]
    SEARCH_MODE_HYBRID_RERANK: _ClassVar[SearchMode]

class ComparisonOperator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPARISON_OPERATOR_UNSPECIFIED: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_EQ: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_NE: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_GT: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_GTE: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_LT: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_LTE: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_IN: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_NIN: _ClassVar[ComparisonOperator]
SPLITTER_KIND_UNSPECIFIED: SplitterKind
SPLITTER_KIND_AUTO: SplitterKind
SPLITTER_KIND_RECURSIVE: SplitterKind
SPLITTER_KIND_MARKDOWN: SplitterKind
SPLITTER_KIND_HTML: SplitterKind
SPLITTER_KIND_CODE: SplitterKind
SPLITTER_KIND_TABLE: SplitterKind
SPLITTER_KIND_SEMANTIC: SplitterKind
INDEX_STATE_UNSPECIFIED: IndexState
INDEX_STATE_BUILDING: IndexState
INDEX_STATE_READY: IndexState
INDEX_STATE_SERVING: IndexState
INDEX_STATE_FAILED: IndexState
DOCUMENT_STATE_UNSPECIFIED: DocumentState
DOCUMENT_STATE_PENDING: DocumentState
DOCUMENT_STATE_READY: DocumentState
DOCUMENT_STATE_FAILED: DocumentState
DOCUMENT_STATE_CANCELLED: DocumentState
SEARCH_MODE_UNSPECIFIED: SearchMode
SEARCH_MODE_HYBRID: SearchMode
SEARCH_MODE_DENSE: SearchMode
SEARCH_MODE_SPARSE: SearchMode
SEARCH_MODE_HYBRID_RERANK: SearchMode
COMPARISON_OPERATOR_UNSPECIFIED: ComparisonOperator
COMPARISON_OPERATOR_EQ: ComparisonOperator
COMPARISON_OPERATOR_NE: ComparisonOperator
COMPARISON_OPERATOR_GT: ComparisonOperator
COMPARISON_OPERATOR_GTE: ComparisonOperator
COMPARISON_OPERATOR_LT: ComparisonOperator
COMPARISON_OPERATOR_LTE: ComparisonOperator
COMPARISON_OPERATOR_IN: ComparisonOperator
COMPARISON_OPERATOR_NIN: ComparisonOperator

class AttributeValue(_message.Message):
    __slots__ = ("text", "number", "flag")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: float
    flag: bool
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., flag: bool = ...) -> None: ...

class Attribute(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: AttributeValue
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[AttributeValue, _Mapping]] = ...) -> None: ...

class Splitter(_message.Message):
    __slots__ = ("kind", "max_tokens", "overlap_tokens")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_TOKENS_FIELD_NUMBER: _ClassVar[int]
    kind: SplitterKind
    max_tokens: int
    overlap_tokens: int
    def __init__(self, kind: _Optional[_Union[SplitterKind, str]] = ..., max_tokens: _Optional[int] = ..., overlap_tokens: _Optional[int] = ...) -> None: ...

class IndexSpec(_message.Message):
    __slots__ = ("model", "splitter")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SPLITTER_FIELD_NUMBER: _ClassVar[int]
    model: str
    splitter: Splitter
    def __init__(self, model: _Optional[str] = ..., splitter: _Optional[_Union[Splitter, _Mapping]] = ...) -> None: ...

class RetrievalQuality(_message.Message):
    __slots__ = ("mode", "queries", "ndcg", "recall", "precision", "reciprocal_rank", "hit_at_1")
    MODE_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    NDCG_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECIPROCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    HIT_AT_1_FIELD_NUMBER: _ClassVar[int]
    mode: SearchMode
    queries: int
    ndcg: float
    recall: float
    precision: float
    reciprocal_rank: float
    hit_at_1: float
    def __init__(self, mode: _Optional[_Union[SearchMode, str]] = ..., queries: _Optional[int] = ..., ndcg: _Optional[float] = ..., recall: _Optional[float] = ..., precision: _Optional[float] = ..., reciprocal_rank: _Optional[float] = ..., hit_at_1: _Optional[float] = ...) -> None: ...

class IndexVersion(_message.Message):
    __slots__ = ("number", "spec", "model_revision", "dimension", "state", "documents", "documents_total", "chunks", "error", "created_at", "quality")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    MODEL_REVISION_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    number: int
    spec: IndexSpec
    model_revision: str
    dimension: int
    state: IndexState
    documents: int
    documents_total: int
    chunks: int
    error: str
    created_at: _timestamp_pb2.Timestamp
    quality: _containers.RepeatedCompositeFieldContainer[RetrievalQuality]
    def __init__(self, number: _Optional[int] = ..., spec: _Optional[_Union[IndexSpec, _Mapping]] = ..., model_revision: _Optional[str] = ..., dimension: _Optional[int] = ..., state: _Optional[_Union[IndexState, str]] = ..., documents: _Optional[int] = ..., documents_total: _Optional[int] = ..., chunks: _Optional[int] = ..., error: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., quality: _Optional[_Iterable[_Union[RetrievalQuality, _Mapping]]] = ...) -> None: ...

class KnowledgeBase(_message.Message):
    __slots__ = ("id", "name", "attributes", "serving", "documents", "chunks", "bytes", "created_at", "generation", "evaluation_queries", "documents_pending", "documents_failed", "documents_cancelled")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_QUERIES_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_PENDING_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FAILED_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_CANCELLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    serving: int
    documents: int
    chunks: int
    bytes: int
    created_at: _timestamp_pb2.Timestamp
    generation: int
    evaluation_queries: int
    documents_pending: int
    documents_failed: int
    documents_cancelled: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., serving: _Optional[int] = ..., documents: _Optional[int] = ..., chunks: _Optional[int] = ..., bytes: _Optional[int] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., generation: _Optional[int] = ..., evaluation_queries: _Optional[int] = ..., documents_pending: _Optional[int] = ..., documents_failed: _Optional[int] = ..., documents_cancelled: _Optional[int] = ...) -> None: ...

class DocumentFailure(_message.Message):
    __slots__ = ("reason", "message", "place")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    place: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., place: _Optional[str] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("id", "knowledge_base", "filename", "title", "media_type", "attributes", "labels", "language", "content_hash", "version", "bytes", "characters", "chunks", "state", "failure", "created_at", "updated_at", "original_kept")
    ID_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_BASE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_KEPT_FIELD_NUMBER: _ClassVar[int]
    id: str
    knowledge_base: str
    filename: str
    title: str
    media_type: str
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    labels: _containers.RepeatedScalarFieldContainer[str]
    language: str
    content_hash: str
    version: int
    bytes: int
    characters: int
    chunks: int
    state: DocumentState
    failure: DocumentFailure
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    original_kept: bool
    def __init__(self, id: _Optional[str] = ..., knowledge_base: _Optional[str] = ..., filename: _Optional[str] = ..., title: _Optional[str] = ..., media_type: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., labels: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ..., content_hash: _Optional[str] = ..., version: _Optional[int] = ..., bytes: _Optional[int] = ..., characters: _Optional[int] = ..., chunks: _Optional[int] = ..., state: _Optional[_Union[DocumentState, str]] = ..., failure: _Optional[_Union[DocumentFailure, _Mapping]] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., original_kept: bool = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("id", "document", "document_version", "ordinal", "text", "start", "end", "headings", "page", "tokens")
    ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    HEADINGS_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    id: str
    document: str
    document_version: int
    ordinal: int
    text: str
    start: int
    end: int
    headings: _containers.RepeatedScalarFieldContainer[str]
    page: int
    tokens: int
    def __init__(self, id: _Optional[str] = ..., document: _Optional[str] = ..., document_version: _Optional[int] = ..., ordinal: _Optional[int] = ..., text: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., headings: _Optional[_Iterable[str]] = ..., page: _Optional[int] = ..., tokens: _Optional[int] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("attribute", "operator", "values")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    operator: ComparisonOperator
    values: _containers.RepeatedCompositeFieldContainer[AttributeValue]
    def __init__(self, attribute: _Optional[str] = ..., operator: _Optional[_Union[ComparisonOperator, str]] = ..., values: _Optional[_Iterable[_Union[AttributeValue, _Mapping]]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("comparison", "all_of", "any_of")
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    ALL_OF_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    comparison: Comparison
    all_of: _containers.RepeatedCompositeFieldContainer[Filter]
    any_of: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, comparison: _Optional[_Union[Comparison, _Mapping]] = ..., all_of: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ..., any_of: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class SearchOptions(_message.Message):
    __slots__ = ("mode", "limit", "filter", "min_score", "diversity", "max_per_document", "index_version")
    MODE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    INDEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    mode: SearchMode
    limit: int
    filter: Filter
    min_score: float
    diversity: float
    max_per_document: int
    index_version: int
    def __init__(self, mode: _Optional[_Union[SearchMode, str]] = ..., limit: _Optional[int] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., min_score: _Optional[float] = ..., diversity: _Optional[float] = ..., max_per_document: _Optional[int] = ..., index_version: _Optional[int] = ...) -> None: ...

class HitScores(_message.Message):
    __slots__ = ("dense", "sparse", "fused", "rerank")
    DENSE_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    FUSED_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    dense: float
    sparse: float
    fused: float
    rerank: float
    def __init__(self, dense: _Optional[float] = ..., sparse: _Optional[float] = ..., fused: _Optional[float] = ..., rerank: _Optional[float] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("chunk", "knowledge_base", "title", "filename", "attributes", "score", "scores", "snippet", "snippet_start", "snippet_end")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_BASE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_START_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_END_FIELD_NUMBER: _ClassVar[int]
    chunk: Chunk
    knowledge_base: str
    title: str
    filename: str
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    score: float
    scores: HitScores
    snippet: str
    snippet_start: int
    snippet_end: int
    def __init__(self, chunk: _Optional[_Union[Chunk, _Mapping]] = ..., knowledge_base: _Optional[str] = ..., title: _Optional[str] = ..., filename: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., score: _Optional[float] = ..., scores: _Optional[_Union[HitScores, _Mapping]] = ..., snippet: _Optional[str] = ..., snippet_start: _Optional[int] = ..., snippet_end: _Optional[int] = ...) -> None: ...

class SearchedIndex(_message.Message):
    __slots__ = ("knowledge_base", "version", "model", "model_revision", "generation")
    KNOWLEDGE_BASE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_REVISION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    knowledge_base: str
    version: int
    model: str
    model_revision: str
    generation: int
    def __init__(self, knowledge_base: _Optional[str] = ..., version: _Optional[int] = ..., model: _Optional[str] = ..., model_revision: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class SearchResult(_message.Message):
    __slots__ = ("hits", "searched", "degraded", "query_truncated", "query_tokens", "query_cost_nano_usd")
    HITS_FIELD_NUMBER: _ClassVar[int]
    SEARCHED_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    QUERY_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    QUERY_TOKENS_FIELD_NUMBER: _ClassVar[int]
    QUERY_COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    searched: _containers.RepeatedCompositeFieldContainer[SearchedIndex]
    degraded: _containers.RepeatedScalarFieldContainer[str]
    query_truncated: bool
    query_tokens: int
    query_cost_nano_usd: int
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., searched: _Optional[_Iterable[_Union[SearchedIndex, _Mapping]]] = ..., degraded: _Optional[_Iterable[str]] = ..., query_truncated: bool = ..., query_tokens: _Optional[int] = ..., query_cost_nano_usd: _Optional[int] = ...) -> None: ...

class EvaluationQuery(_message.Message):
    __slots__ = ("query", "relevant")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    RELEVANT_FIELD_NUMBER: _ClassVar[int]
    query: str
    relevant: _containers.RepeatedCompositeFieldContainer[RelevantDocument]
    def __init__(self, query: _Optional[str] = ..., relevant: _Optional[_Iterable[_Union[RelevantDocument, _Mapping]]] = ...) -> None: ...

class RelevantDocument(_message.Message):
    __slots__ = ("document", "grade")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    document: str
    grade: int
    def __init__(self, document: _Optional[str] = ..., grade: _Optional[int] = ...) -> None: ...

class IngestProgress(_message.Message):
    __slots__ = ("documents_total", "documents_done", "documents_failed", "chunks", "vectors", "bytes_total", "bytes_done", "seconds_left")
    DOCUMENTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_DONE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FAILED_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    documents_total: int
    documents_done: int
    documents_failed: int
    chunks: int
    vectors: int
    bytes_total: int
    bytes_done: int
    seconds_left: float
    def __init__(self, documents_total: _Optional[int] = ..., documents_done: _Optional[int] = ..., documents_failed: _Optional[int] = ..., chunks: _Optional[int] = ..., vectors: _Optional[int] = ..., bytes_total: _Optional[int] = ..., bytes_done: _Optional[int] = ..., seconds_left: _Optional[float] = ...) -> None: ...

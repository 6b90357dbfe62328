from penstock.knowledge.v1 import knowledge_pb2 as _knowledge_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KnowledgeUse(_message.Message):
    __slots__ = ("bases", "options", "max_context_tokens", "when_nothing", "nothing_text", "when_unavailable", "cite")
    class WhenNothing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WHEN_NOTHING_UNSPECIFIED: _ClassVar[KnowledgeUse.WhenNothing]
        WHEN_NOTHING_ANSWER: _ClassVar[KnowledgeUse.WhenNothing]
        WHEN_NOTHING_REFUSE: _ClassVar[KnowledgeUse.WhenNothing]
        WHEN_NOTHING_SAY_SO: _ClassVar[KnowledgeUse.WhenNothing]
    WHEN_NOTHING_UNSPECIFIED: KnowledgeUse.WhenNothing
    WHEN_NOTHING_ANSWER: KnowledgeUse.WhenNothing
    WHEN_NOTHING_REFUSE: KnowledgeUse.WhenNothing
    WHEN_NOTHING_SAY_SO: KnowledgeUse.WhenNothing
    class WhenUnavailable(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WHEN_UNAVAILABLE_UNSPECIFIED: _ClassVar[KnowledgeUse.WhenUnavailable]
        WHEN_UNAVAILABLE_FAIL: _ClassVar[KnowledgeUse.WhenUnavailable]
        WHEN_UNAVAILABLE_ANSWER: _ClassVar[KnowledgeUse.WhenUnavailable]
    WHEN_UNAVAILABLE_UNSPECIFIED: KnowledgeUse.WhenUnavailable
    WHEN_UNAVAILABLE_FAIL: KnowledgeUse.WhenUnavailable
    WHEN_UNAVAILABLE_ANSWER: KnowledgeUse.WhenUnavailable
    class Cite(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CITE_UNSPECIFIED: _ClassVar[KnowledgeUse.Cite]
        CITE_NUMBERS: _ClassVar[KnowledgeUse.Cite]
        CITE_EXTRACTIVE: _ClassVar[KnowledgeUse.Cite]
    CITE_UNSPECIFIED: KnowledgeUse.Cite
    CITE_NUMBERS: KnowledgeUse.Cite
    CITE_EXTRACTIVE: KnowledgeUse.Cite
    BASES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    WHEN_NOTHING_FIELD_NUMBER: _ClassVar[int]
    NOTHING_TEXT_FIELD_NUMBER: _ClassVar[int]
    WHEN_UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    CITE_FIELD_NUMBER: _ClassVar[int]
    bases: _containers.RepeatedScalarFieldContainer[str]
    options: _knowledge_pb2.SearchOptions
    max_context_tokens: int
    when_nothing: KnowledgeUse.WhenNothing
    nothing_text: str
    when_unavailable: KnowledgeUse.WhenUnavailable
    cite: KnowledgeUse.Cite
    def __init__(self, bases: _Optional[_Iterable[str]] = ..., options: _Optional[_Union[_knowledge_pb2.SearchOptions, _Mapping]] = ..., max_context_tokens: _Optional[int] = ..., when_nothing: _Optional[_Union[KnowledgeUse.WhenNothing, str]] = ..., nothing_text: _Optional[str] = ..., when_unavailable: _Optional[_Union[KnowledgeUse.WhenUnavailable, str]] = ..., cite: _Optional[_Union[KnowledgeUse.Cite, str]] = ...) -> None: ...

class KnowledgeTold(_message.Message):
    __slots__ = ("outcome", "query", "retrieved", "citations", "unknown_citations", "searched", "degraded")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[KnowledgeTold.Outcome]
        OUTCOME_FOUND: _ClassVar[KnowledgeTold.Outcome]
        OUTCOME_NOTHING: _ClassVar[KnowledgeTold.Outcome]
        OUTCOME_UNAVAILABLE: _ClassVar[KnowledgeTold.Outcome]
    OUTCOME_UNSPECIFIED: KnowledgeTold.Outcome
    OUTCOME_FOUND: KnowledgeTold.Outcome
    OUTCOME_NOTHING: KnowledgeTold.Outcome
    OUTCOME_UNAVAILABLE: KnowledgeTold.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    RETRIEVED_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_CITATIONS_FIELD_NUMBER: _ClassVar[int]
    SEARCHED_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    outcome: KnowledgeTold.Outcome
    query: str
    retrieved: _containers.RepeatedCompositeFieldContainer[RetrievedPassage]
    citations: _containers.RepeatedCompositeFieldContainer[KnowledgeCitation]
    unknown_citations: int
    searched: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.SearchedIndex]
    degraded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, outcome: _Optional[_Union[KnowledgeTold.Outcome, str]] = ..., query: _Optional[str] = ..., retrieved: _Optional[_Iterable[_Union[RetrievedPassage, _Mapping]]] = ..., citations: _Optional[_Iterable[_Union[KnowledgeCitation, _Mapping]]] = ..., unknown_citations: _Optional[int] = ..., searched: _Optional[_Iterable[_Union[_knowledge_pb2.SearchedIndex, _Mapping]]] = ..., degraded: _Optional[_Iterable[str]] = ...) -> None: ...

class RetrievedPassage(_message.Message):
    __slots__ = ("number", "chunk_id", "document", "document_version", "knowledge_base", "title", "filename", "page", "start", "end", "score")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_BASE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    number: int
    chunk_id: str
    document: str
    document_version: int
    knowledge_base: str
    title: str
    filename: str
    page: int
    start: int
    end: int
    score: float
    def __init__(self, number: _Optional[int] = ..., chunk_id: _Optional[str] = ..., document: _Optional[str] = ..., document_version: _Optional[int] = ..., knowledge_base: _Optional[str] = ..., title: _Optional[str] = ..., filename: _Optional[str] = ..., page: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class KnowledgeCitation(_message.Message):
    __slots__ = ("number", "chunk_id", "document", "document_version", "knowledge_base", "title", "filename", "page", "start", "end", "quote", "index", "choice")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_BASE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    number: int
    chunk_id: str
    document: str
    document_version: int
    knowledge_base: str
    title: str
    filename: str
    page: int
    start: int
    end: int
    quote: str
    index: int
    choice: int
    def __init__(self, number: _Optional[int] = ..., chunk_id: _Optional[str] = ..., document: _Optional[str] = ..., document_version: _Optional[int] = ..., knowledge_base: _Optional[str] = ..., title: _Optional[str] = ..., filename: _Optional[str] = ..., page: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., quote: _Optional[str] = ..., index: _Optional[int] = ..., choice: _Optional[int] = ...) -> None: ...

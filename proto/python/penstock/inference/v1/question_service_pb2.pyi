from penstock.llm.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RerankRequest(_message.Message):
    __slots__ = ("query", "documents", "top_n", "max_tokens_per_document", "plan", "priority")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    TOP_N_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_PER_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    query: str
    documents: _containers.RepeatedScalarFieldContainer[str]
    top_n: int
    max_tokens_per_document: int
    plan: _generation_pb2.Plan
    priority: _generation_pb2.Priority
    def __init__(self, query: _Optional[str] = ..., documents: _Optional[_Iterable[str]] = ..., top_n: _Optional[int] = ..., max_tokens_per_document: _Optional[int] = ..., plan: _Optional[_Union[_generation_pb2.Plan, _Mapping]] = ..., priority: _Optional[_Union[_generation_pb2.Priority, str]] = ...) -> None: ...

class RerankResponse(_message.Message):
    __slots__ = ("ranked", "answered")
    RANKED_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    ranked: _containers.RepeatedCompositeFieldContainer[RankedDocument]
    answered: AnsweredQuestion
    def __init__(self, ranked: _Optional[_Iterable[_Union[RankedDocument, _Mapping]]] = ..., answered: _Optional[_Union[AnsweredQuestion, _Mapping]] = ...) -> None: ...

class RankedDocument(_message.Message):
    __slots__ = ("index", "score")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    index: int
    score: float
    def __init__(self, index: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class AnsweredQuestion(_message.Message):
    __slots__ = ("answered_by", "input_tokens", "is_estimated", "search_units", "unit_prices", "cost_nano_usd", "attempts")
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    IS_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    SEARCH_UNITS_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICES_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    answered_by: _generation_pb2.Candidate
    input_tokens: int
    is_estimated: bool
    search_units: int
    unit_prices: _generation_pb2.UnitPrices
    cost_nano_usd: int
    attempts: int
    def __init__(self, answered_by: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ..., input_tokens: _Optional[int] = ..., is_estimated: bool = ..., search_units: _Optional[int] = ..., unit_prices: _Optional[_Union[_generation_pb2.UnitPrices, _Mapping]] = ..., cost_nano_usd: _Optional[int] = ..., attempts: _Optional[int] = ...) -> None: ...

class ModerateRequest(_message.Message):
    __slots__ = ("contents", "plan", "priority")
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    contents: _containers.RepeatedCompositeFieldContainer[ModeratedContent]
    plan: _generation_pb2.Plan
    priority: _generation_pb2.Priority
    def __init__(self, contents: _Optional[_Iterable[_Union[ModeratedContent, _Mapping]]] = ..., plan: _Optional[_Union[_generation_pb2.Plan, _Mapping]] = ..., priority: _Optional[_Union[_generation_pb2.Priority, str]] = ...) -> None: ...

class ModeratedContent(_message.Message):
    __slots__ = ("parts", "is_parts")
    PARTS_FIELD_NUMBER: _ClassVar[int]
    IS_PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[ModeratedPart]
    is_parts: bool
    def __init__(self, parts: _Optional[_Iterable[_Union[ModeratedPart, _Mapping]]] = ..., is_parts: bool = ...) -> None: ...

class ModeratedPart(_message.Message):
    __slots__ = ("text", "image_url")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    text: str
    image_url: str
    def __init__(self, text: _Optional[str] = ..., image_url: _Optional[str] = ...) -> None: ...

class ModerateResponse(_message.Message):
    __slots__ = ("verdicts", "model", "answered")
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    model: str
    answered: AnsweredQuestion
    def __init__(self, verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., model: _Optional[str] = ..., answered: _Optional[_Union[AnsweredQuestion, _Mapping]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("flagged", "categories")
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    flagged: bool
    categories: _containers.RepeatedCompositeFieldContainer[VerdictCategory]
    def __init__(self, flagged: bool = ..., categories: _Optional[_Iterable[_Union[VerdictCategory, _Mapping]]] = ...) -> None: ...

class VerdictCategory(_message.Message):
    __slots__ = ("name", "flagged", "score", "input_types")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPES_FIELD_NUMBER: _ClassVar[int]
    name: str
    flagged: bool
    score: float
    input_types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., flagged: bool = ..., score: _Optional[float] = ..., input_types: _Optional[_Iterable[str]] = ...) -> None: ...

from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Collection(_message.Message):
    __slots__ = ("purpose", "schema", "model", "revision", "dimension", "keywords", "numbers", "sparse")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    SPARSE_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    schema: int
    model: str
    revision: str
    dimension: int
    keywords: _containers.RepeatedScalarFieldContainer[str]
    numbers: _containers.RepeatedScalarFieldContainer[str]
    sparse: bool
    def __init__(self, purpose: _Optional[str] = ..., schema: _Optional[int] = ..., model: _Optional[str] = ..., revision: _Optional[str] = ..., dimension: _Optional[int] = ..., keywords: _Optional[_Iterable[str]] = ..., numbers: _Optional[_Iterable[str]] = ..., sparse: bool = ...) -> None: ...

class Field(_message.Message):
    __slots__ = ("text", "whole", "real", "texts")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    REAL_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    text: str
    whole: int
    real: float
    texts: Texts
    def __init__(self, text: _Optional[str] = ..., whole: _Optional[int] = ..., real: _Optional[float] = ..., texts: _Optional[_Union[Texts, _Mapping]] = ...) -> None: ...

class Texts(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("id", "tenant", "vector", "payload", "terms")
    class PayloadEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Field
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Field, _Mapping]] = ...) -> None: ...
    class TermsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: float
        def __init__(self, key: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    vector: _containers.RepeatedScalarFieldContainer[float]
    payload: _containers.MessageMap[str, Field]
    terms: _containers.ScalarMap[int, float]
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., vector: _Optional[_Iterable[float]] = ..., payload: _Optional[_Mapping[str, Field]] = ..., terms: _Optional[_Mapping[int, float]] = ...) -> None: ...

class ScoredPoint(_message.Message):
    __slots__ = ("id", "tenant", "score", "payload")
    class PayloadEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Field
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Field, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    score: float
    payload: _containers.MessageMap[str, Field]
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., score: _Optional[float] = ..., payload: _Optional[_Mapping[str, Field]] = ...) -> None: ...

class Where(_message.Message):
    __slots__ = ("tenant", "equal", "above", "below", "ids", "any_of", "only")
    class EqualEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AboveEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class BelowEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class AnyOfEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Texts
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Texts, _Mapping]] = ...) -> None: ...
    TENANT_FIELD_NUMBER: _ClassVar[int]
    EQUAL_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    ONLY_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    equal: _containers.ScalarMap[str, str]
    above: _containers.ScalarMap[str, float]
    below: _containers.ScalarMap[str, float]
    ids: Texts
    any_of: _containers.MessageMap[str, Texts]
    only: Condition
    def __init__(self, tenant: _Optional[str] = ..., equal: _Optional[_Mapping[str, str]] = ..., above: _Optional[_Mapping[str, float]] = ..., below: _Optional[_Mapping[str, float]] = ..., ids: _Optional[_Union[Texts, _Mapping]] = ..., any_of: _Optional[_Mapping[str, Texts]] = ..., only: _Optional[_Union[Condition, _Mapping]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("among", "none_of", "all_of", "any_of")
    AMONG_FIELD_NUMBER: _ClassVar[int]
    NONE_OF_FIELD_NUMBER: _ClassVar[int]
    ALL_OF_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    among: Among
    none_of: Condition
    all_of: Conditions
    any_of: Conditions
    def __init__(self, among: _Optional[_Union[Among, _Mapping]] = ..., none_of: _Optional[_Union[Condition, _Mapping]] = ..., all_of: _Optional[_Union[Conditions, _Mapping]] = ..., any_of: _Optional[_Union[Conditions, _Mapping]] = ...) -> None: ...

class Among(_message.Message):
    __slots__ = ("field", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class Conditions(_message.Message):
    __slots__ = ("conditions",)
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    def __init__(self, conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ...) -> None: ...

class NearestRequest(_message.Message):
    __slots__ = ("collection", "vector", "where", "limit", "floor", "fields")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    vector: _containers.RepeatedScalarFieldContainer[float]
    where: Where
    limit: int
    floor: float
    fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., vector: _Optional[_Iterable[float]] = ..., where: _Optional[_Union[Where, _Mapping]] = ..., limit: _Optional[int] = ..., floor: _Optional[float] = ..., fields: _Optional[_Iterable[str]] = ...) -> None: ...

class NearestResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[ScoredPoint]
    def __init__(self, points: _Optional[_Iterable[_Union[ScoredPoint, _Mapping]]] = ...) -> None: ...

class MatchingRequest(_message.Message):
    __slots__ = ("collection", "terms", "where", "limit", "fields")
    class TermsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: float
        def __init__(self, key: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    terms: _containers.ScalarMap[int, float]
    where: Where
    limit: int
    fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., terms: _Optional[_Mapping[int, float]] = ..., where: _Optional[_Union[Where, _Mapping]] = ..., limit: _Optional[int] = ..., fields: _Optional[_Iterable[str]] = ...) -> None: ...

class MatchingResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[ScoredPoint]
    def __init__(self, points: _Optional[_Iterable[_Union[ScoredPoint, _Mapping]]] = ...) -> None: ...

class PutRequest(_message.Message):
    __slots__ = ("collection", "points")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    points: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class PutResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("collection", "tenant", "ids")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    tenant: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., tenant: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class SetPayloadRequest(_message.Message):
    __slots__ = ("collection", "where", "payload")
    class PayloadEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Field
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Field, _Mapping]] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    where: Where
    payload: _containers.MessageMap[str, Field]
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., where: _Optional[_Union[Where, _Mapping]] = ..., payload: _Optional[_Mapping[str, Field]] = ...) -> None: ...

class SetPayloadResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("collection", "where")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    where: Where
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., where: _Optional[_Union[Where, _Mapping]] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class CountRequest(_message.Message):
    __slots__ = ("collection", "where")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    where: Where
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., where: _Optional[_Union[Where, _Mapping]] = ...) -> None: ...

class CountResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class ScrollRequest(_message.Message):
    __slots__ = ("collection", "where", "limit", "after")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    where: Where
    limit: int
    after: str
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., where: _Optional[_Union[Where, _Mapping]] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class ScrollResponse(_message.Message):
    __slots__ = ("points", "after")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    after: str
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., after: _Optional[str] = ...) -> None: ...

class SweepRequest(_message.Message):
    __slots__ = ("collection", "field", "below")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    field: str
    below: float
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., field: _Optional[str] = ..., below: _Optional[float] = ...) -> None: ...

class SweepResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class SizeRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class SizeResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

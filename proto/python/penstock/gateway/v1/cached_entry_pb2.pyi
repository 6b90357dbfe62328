from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CachedEntryOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHED_ENTRY_ORIGIN_UNSPECIFIED: _ClassVar[CachedEntryOrigin]
    CACHED_ENTRY_ORIGIN_IMPORTED: _ClassVar[CachedEntryOrigin]
    CACHED_ENTRY_ORIGIN_ALIAS: _ClassVar[CachedEntryOrigin]
CACHED_ENTRY_ORIGIN_UNSPECIFIED: CachedEntryOrigin
CACHED_ENTRY_ORIGIN_IMPORTED: CachedEntryOrigin
CACHED_ENTRY_ORIGIN_ALIAS: CachedEntryOrigin

class CachedEntry(_message.Message):
    __slots__ = ("id", "model", "question", "answer", "tags", "is_private", "created_at", "expires_at", "origin", "hits", "threshold", "same_answers", "different_answers", "alias_of", "saved_tokens", "saved_nano_usd")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    IS_PRIVATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SAME_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENT_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    ALIAS_OF_FIELD_NUMBER: _ClassVar[int]
    SAVED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SAVED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    question: str
    answer: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    is_private: bool
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    origin: CachedEntryOrigin
    hits: int
    threshold: float
    same_answers: int
    different_answers: int
    alias_of: str
    saved_tokens: int
    saved_nano_usd: int
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., question: _Optional[str] = ..., answer: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., is_private: bool = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., origin: _Optional[_Union[CachedEntryOrigin, str]] = ..., hits: _Optional[int] = ..., threshold: _Optional[float] = ..., same_answers: _Optional[int] = ..., different_answers: _Optional[int] = ..., alias_of: _Optional[str] = ..., saved_tokens: _Optional[int] = ..., saved_nano_usd: _Optional[int] = ...) -> None: ...

class CacheImportRow(_message.Message):
    __slots__ = ("question", "answer", "model", "system", "tags", "ttl")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    question: str
    answer: str
    model: str
    system: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    ttl: _duration_pb2.Duration
    def __init__(self, question: _Optional[str] = ..., answer: _Optional[str] = ..., model: _Optional[str] = ..., system: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CacheImportResult(_message.Message):
    __slots__ = ("outcome", "reason")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[CacheImportResult.Outcome]
        OUTCOME_STORED: _ClassVar[CacheImportResult.Outcome]
        OUTCOME_UNCHANGED: _ClassVar[CacheImportResult.Outcome]
        OUTCOME_REPLACED: _ClassVar[CacheImportResult.Outcome]
        OUTCOME_REFUSED: _ClassVar[CacheImportResult.Outcome]
    OUTCOME_UNSPECIFIED: CacheImportResult.Outcome
    OUTCOME_STORED: CacheImportResult.Outcome
    OUTCOME_UNCHANGED: CacheImportResult.Outcome
    OUTCOME_REPLACED: CacheImportResult.Outcome
    OUTCOME_REFUSED: CacheImportResult.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    outcome: CacheImportResult.Outcome
    reason: str
    def __init__(self, outcome: _Optional[_Union[CacheImportResult.Outcome, str]] = ..., reason: _Optional[str] = ...) -> None: ...

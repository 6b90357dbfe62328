from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from penstock.llm.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntryOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_ORIGIN_UNSPECIFIED: _ClassVar[EntryOrigin]
    ENTRY_ORIGIN_IMPORTED: _ClassVar[EntryOrigin]
    ENTRY_ORIGIN_ALIAS: _ClassVar[EntryOrigin]
ENTRY_ORIGIN_UNSPECIFIED: EntryOrigin
ENTRY_ORIGIN_IMPORTED: EntryOrigin
ENTRY_ORIGIN_ALIAS: EntryOrigin

class CacheScope(_message.Message):
    __slots__ = ("tenant", "model")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    model: str
    def __init__(self, tenant: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class CacheEntry(_message.Message):
    __slots__ = ("events", "create_time")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_generation_pb2.GenerationEvent]
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, events: _Optional[_Iterable[_Union[_generation_pb2.GenerationEvent, _Mapping]]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CacheProbe(_message.Message):
    __slots__ = ("digest", "temperature", "max_output_tokens", "has_tools_in_flight", "refers_to_the_web", "meaning")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    HAS_TOOLS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    REFERS_TO_THE_WEB_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    temperature: float
    max_output_tokens: int
    has_tools_in_flight: bool
    refers_to_the_web: bool
    meaning: Meaning
    def __init__(self, digest: _Optional[bytes] = ..., temperature: _Optional[float] = ..., max_output_tokens: _Optional[int] = ..., has_tools_in_flight: bool = ..., refers_to_the_web: bool = ..., meaning: _Optional[_Union[Meaning, _Mapping]] = ...) -> None: ...

class Meaning(_message.Message):
    __slots__ = ("text", "fingerprint", "user", "vector", "vector_model", "is_private")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    VECTOR_MODEL_FIELD_NUMBER: _ClassVar[int]
    IS_PRIVATE_FIELD_NUMBER: _ClassVar[int]
    text: str
    fingerprint: bytes
    user: str
    vector: bytes
    vector_model: str
    is_private: bool
    def __init__(self, text: _Optional[str] = ..., fingerprint: _Optional[bytes] = ..., user: _Optional[str] = ..., vector: _Optional[bytes] = ..., vector_model: _Optional[str] = ..., is_private: bool = ...) -> None: ...

class LookupRequest(_message.Message):
    __slots__ = ("max_age", "scope", "probe", "stale_for", "afresh")
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    STALE_FOR_FIELD_NUMBER: _ClassVar[int]
    AFRESH_FIELD_NUMBER: _ClassVar[int]
    max_age: _duration_pb2.Duration
    scope: CacheScope
    probe: CacheProbe
    stale_for: _duration_pb2.Duration
    afresh: bool
    def __init__(self, max_age: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., scope: _Optional[_Union[CacheScope, _Mapping]] = ..., probe: _Optional[_Union[CacheProbe, _Mapping]] = ..., stale_for: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., afresh: bool = ...) -> None: ...

class LookupResponse(_message.Message):
    __slots__ = ("hit", "bypass_reason", "generation", "miss_reason", "near", "vector", "vector_model")
    HIT_FIELD_NUMBER: _ClassVar[int]
    BYPASS_REASON_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    MISS_REASON_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    VECTOR_MODEL_FIELD_NUMBER: _ClassVar[int]
    hit: CacheHit
    bypass_reason: str
    generation: str
    miss_reason: str
    near: Near
    vector: bytes
    vector_model: str
    def __init__(self, hit: _Optional[_Union[CacheHit, _Mapping]] = ..., bypass_reason: _Optional[str] = ..., generation: _Optional[str] = ..., miss_reason: _Optional[str] = ..., near: _Optional[_Union[Near, _Mapping]] = ..., vector: _Optional[bytes] = ..., vector_model: _Optional[str] = ...) -> None: ...

class Near(_message.Message):
    __slots__ = ("entry_id", "similarity", "score")
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    entry_id: str
    similarity: float
    score: float
    def __init__(self, entry_id: _Optional[str] = ..., similarity: _Optional[float] = ..., score: _Optional[float] = ...) -> None: ...

class CacheHit(_message.Message):
    __slots__ = ("entry", "similarity", "entry_id", "by_meaning", "origin")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    BY_MEANING_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    entry: CacheEntry
    similarity: float
    entry_id: str
    by_meaning: bool
    origin: EntryOrigin
    def __init__(self, entry: _Optional[_Union[CacheEntry, _Mapping]] = ..., similarity: _Optional[float] = ..., entry_id: _Optional[str] = ..., by_meaning: bool = ..., origin: _Optional[_Union[EntryOrigin, str]] = ...) -> None: ...

class StoreRequest(_message.Message):
    __slots__ = ("entry", "ttl", "scope", "probe", "generation", "stale_for", "tags", "near", "origin")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STALE_FOR_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    entry: CacheEntry
    ttl: _duration_pb2.Duration
    scope: CacheScope
    probe: CacheProbe
    generation: str
    stale_for: _duration_pb2.Duration
    tags: _containers.RepeatedScalarFieldContainer[str]
    near: Near
    origin: EntryOrigin
    def __init__(self, entry: _Optional[_Union[CacheEntry, _Mapping]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., scope: _Optional[_Union[CacheScope, _Mapping]] = ..., probe: _Optional[_Union[CacheProbe, _Mapping]] = ..., generation: _Optional[str] = ..., stale_for: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ..., near: _Optional[_Union[Near, _Mapping]] = ..., origin: _Optional[_Union[EntryOrigin, str]] = ...) -> None: ...

class StoreResponse(_message.Message):
    __slots__ = ("stored", "refusal_reason")
    STORED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_REASON_FIELD_NUMBER: _ClassVar[int]
    stored: bool
    refusal_reason: str
    def __init__(self, stored: bool = ..., refusal_reason: _Optional[str] = ...) -> None: ...

class InvalidateRequest(_message.Message):
    __slots__ = ("scope", "every_tenant")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    EVERY_TENANT_FIELD_NUMBER: _ClassVar[int]
    scope: CacheScope
    every_tenant: bool
    def __init__(self, scope: _Optional[_Union[CacheScope, _Mapping]] = ..., every_tenant: bool = ...) -> None: ...

class InvalidateResponse(_message.Message):
    __slots__ = ("deleted_entries",)
    DELETED_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    deleted_entries: int
    def __init__(self, deleted_entries: _Optional[int] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ("memory_hits", "redis_hits", "misses", "stores", "refusals", "memory_entries", "semantic_hits", "refused_by_guard", "not_compared", "embedded", "judged_hits", "false_hits", "saved_tokens", "saved_nano_usd", "semantic_entries", "semantic_trouble")
    class RefusedByGuardEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class NotComparedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MEMORY_HITS_FIELD_NUMBER: _ClassVar[int]
    REDIS_HITS_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_HITS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_BY_GUARD_FIELD_NUMBER: _ClassVar[int]
    NOT_COMPARED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_HITS_FIELD_NUMBER: _ClassVar[int]
    FALSE_HITS_FIELD_NUMBER: _ClassVar[int]
    SAVED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SAVED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_TROUBLE_FIELD_NUMBER: _ClassVar[int]
    memory_hits: int
    redis_hits: int
    misses: int
    stores: int
    refusals: int
    memory_entries: int
    semantic_hits: int
    refused_by_guard: _containers.ScalarMap[str, int]
    not_compared: _containers.ScalarMap[str, int]
    embedded: int
    judged_hits: int
    false_hits: int
    saved_tokens: int
    saved_nano_usd: int
    semantic_entries: int
    semantic_trouble: str
    def __init__(self, memory_hits: _Optional[int] = ..., redis_hits: _Optional[int] = ..., misses: _Optional[int] = ..., stores: _Optional[int] = ..., refusals: _Optional[int] = ..., memory_entries: _Optional[int] = ..., semantic_hits: _Optional[int] = ..., refused_by_guard: _Optional[_Mapping[str, int]] = ..., not_compared: _Optional[_Mapping[str, int]] = ..., embedded: _Optional[int] = ..., judged_hits: _Optional[int] = ..., false_hits: _Optional[int] = ..., saved_tokens: _Optional[int] = ..., saved_nano_usd: _Optional[int] = ..., semantic_entries: _Optional[int] = ..., semantic_trouble: _Optional[str] = ...) -> None: ...

class EntryFilter(_message.Message):
    __slots__ = ("scope", "entry_ids", "tag", "user")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_IDS_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    scope: CacheScope
    entry_ids: _containers.RepeatedScalarFieldContainer[str]
    tag: str
    user: str
    def __init__(self, scope: _Optional[_Union[CacheScope, _Mapping]] = ..., entry_ids: _Optional[_Iterable[str]] = ..., tag: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class EntryRecord(_message.Message):
    __slots__ = ("entry_id", "model", "question", "answer", "tags", "is_private", "create_time", "expire_time", "origin", "hits", "threshold", "evidence_same", "evidence_different", "alias_of", "saved_tokens", "saved_nano_usd")
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    IS_PRIVATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_SAME_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_DIFFERENT_FIELD_NUMBER: _ClassVar[int]
    ALIAS_OF_FIELD_NUMBER: _ClassVar[int]
    SAVED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SAVED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    entry_id: str
    model: str
    question: str
    answer: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    is_private: bool
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    origin: EntryOrigin
    hits: int
    threshold: float
    evidence_same: int
    evidence_different: int
    alias_of: str
    saved_tokens: int
    saved_nano_usd: int
    def __init__(self, entry_id: _Optional[str] = ..., model: _Optional[str] = ..., question: _Optional[str] = ..., answer: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., is_private: bool = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., origin: _Optional[_Union[EntryOrigin, str]] = ..., hits: _Optional[int] = ..., threshold: _Optional[float] = ..., evidence_same: _Optional[int] = ..., evidence_different: _Optional[int] = ..., alias_of: _Optional[str] = ..., saved_tokens: _Optional[int] = ..., saved_nano_usd: _Optional[int] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token", "with_content")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    WITH_CONTENT_FIELD_NUMBER: _ClassVar[int]
    filter: EntryFilter
    page_size: int
    page_token: str
    with_content: bool
    def __init__(self, filter: _Optional[_Union[EntryFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., with_content: bool = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[EntryRecord]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[EntryRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteEntriesRequest(_message.Message):
    __slots__ = ("filter", "dry_run")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    filter: EntryFilter
    dry_run: bool
    def __init__(self, filter: _Optional[_Union[EntryFilter, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class DeleteEntriesResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    def __init__(self, entries: _Optional[int] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("scope", "stored", "asked")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    scope: CacheScope
    stored: str
    asked: str
    def __init__(self, scope: _Optional[_Union[CacheScope, _Mapping]] = ..., stored: _Optional[str] = ..., asked: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("served", "reason", "detail", "similarity", "score", "threshold", "floor")
    SERVED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    served: bool
    reason: str
    detail: str
    similarity: float
    score: float
    threshold: float
    floor: float
    def __init__(self, served: bool = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., similarity: _Optional[float] = ..., score: _Optional[float] = ..., threshold: _Optional[float] = ..., floor: _Optional[float] = ...) -> None: ...

class DisputeRequest(_message.Message):
    __slots__ = ("scope", "entry_id")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    scope: CacheScope
    entry_id: str
    def __init__(self, scope: _Optional[_Union[CacheScope, _Mapping]] = ..., entry_id: _Optional[str] = ...) -> None: ...

class DisputeResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: bool
    def __init__(self, removed: bool = ...) -> None: ...

class ShredTenantRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class ShredTenantResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    def __init__(self, entries: _Optional[int] = ...) -> None: ...

class RotateKeysRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class RotateKeysResponse(_message.Message):
    __slots__ = ("tenants",)
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    tenants: int
    def __init__(self, tenants: _Optional[int] = ...) -> None: ...

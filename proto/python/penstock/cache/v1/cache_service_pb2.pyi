from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from penstock.llm.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
    __slots__ = ("digest", "temperature", "max_output_tokens", "has_tools_in_flight", "refers_to_the_web")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    HAS_TOOLS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    REFERS_TO_THE_WEB_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    temperature: float
    max_output_tokens: int
    has_tools_in_flight: bool
    refers_to_the_web: bool
    def __init__(self, digest: _Optional[bytes] = ..., temperature: _Optional[float] = ..., max_output_tokens: _Optional[int] = ..., has_tools_in_flight: bool = ..., refers_to_the_web: bool = ...) -> None: ...

class LookupRequest(_message.Message):
    __slots__ = ("max_age", "scope", "probe", "stale_for")
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    STALE_FOR_FIELD_NUMBER: _ClassVar[int]
    max_age: _duration_pb2.Duration
    scope: CacheScope
    probe: CacheProbe
    stale_for: _duration_pb2.Duration
    def __init__(self, max_age: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., scope: _Optional[_Union[CacheScope, _Mapping]] = ..., probe: _Optional[_Union[CacheProbe, _Mapping]] = ..., stale_for: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class LookupResponse(_message.Message):
    __slots__ = ("hit", "bypass_reason", "generation")
    HIT_FIELD_NUMBER: _ClassVar[int]
    BYPASS_REASON_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    hit: CacheHit
    bypass_reason: str
    generation: str
    def __init__(self, hit: _Optional[_Union[CacheHit, _Mapping]] = ..., bypass_reason: _Optional[str] = ..., generation: _Optional[str] = ...) -> None: ...

class CacheHit(_message.Message):
    __slots__ = ("entry", "similarity")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    entry: CacheEntry
    similarity: float
    def __init__(self, entry: _Optional[_Union[CacheEntry, _Mapping]] = ..., similarity: _Optional[float] = ...) -> None: ...

class StoreRequest(_message.Message):
    __slots__ = ("entry", "ttl", "scope", "probe", "generation", "stale_for")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STALE_FOR_FIELD_NUMBER: _ClassVar[int]
    entry: CacheEntry
    ttl: _duration_pb2.Duration
    scope: CacheScope
    probe: CacheProbe
    generation: str
    stale_for: _duration_pb2.Duration
    def __init__(self, entry: _Optional[_Union[CacheEntry, _Mapping]] = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., scope: _Optional[_Union[CacheScope, _Mapping]] = ..., probe: _Optional[_Union[CacheProbe, _Mapping]] = ..., generation: _Optional[str] = ..., stale_for: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("memory_hits", "redis_hits", "misses", "stores", "refusals", "memory_entries")
    MEMORY_HITS_FIELD_NUMBER: _ClassVar[int]
    REDIS_HITS_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    memory_hits: int
    redis_hits: int
    misses: int
    stores: int
    refusals: int
    memory_entries: int
    def __init__(self, memory_hits: _Optional[int] = ..., redis_hits: _Optional[int] = ..., misses: _Optional[int] = ..., stores: _Optional[int] = ..., refusals: _Optional[int] = ..., memory_entries: _Optional[int] = ...) -> None: ...

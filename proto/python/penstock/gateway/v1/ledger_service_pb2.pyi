from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CorrectEntryRequest(_message.Message):
    __slots__ = ("generation_id", "cost_nano_usd", "input_tokens", "output_tokens", "cached_input_tokens", "reason")
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    generation_id: str
    cost_nano_usd: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reason: str
    def __init__(self, generation_id: _Optional[str] = ..., cost_nano_usd: _Optional[int] = ..., input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class CorrectEntryResponse(_message.Message):
    __slots__ = ("correction",)
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    correction: LedgerCorrection
    def __init__(self, correction: _Optional[_Union[LedgerCorrection, _Mapping]] = ...) -> None: ...

class LedgerCorrection(_message.Message):
    __slots__ = ("id", "corrects", "tenant", "created_at", "cost_nano_usd", "input_tokens", "output_tokens", "cached_input_tokens", "reason", "corrected_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    corrects: str
    tenant: str
    created_at: _timestamp_pb2.Timestamp
    cost_nano_usd: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reason: str
    corrected_by: str
    def __init__(self, id: _Optional[str] = ..., corrects: _Optional[str] = ..., tenant: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., cost_nano_usd: _Optional[int] = ..., input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., reason: _Optional[str] = ..., corrected_by: _Optional[str] = ...) -> None: ...

class ListDriftRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class ListDriftResponse(_message.Message):
    __slots__ = ("counters",)
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    counters: _containers.RepeatedCompositeFieldContainer[CounterDrift]
    def __init__(self, counters: _Optional[_Iterable[_Union[CounterDrift, _Mapping]]] = ...) -> None: ...

class CounterDrift(_message.Message):
    __slots__ = ("tenant", "scope", "limit", "period_start", "counter_nano_usd", "ledger_nano_usd", "reserved_nano_usd")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    COUNTER_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    LEDGER_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    RESERVED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    scope: str
    limit: str
    period_start: _timestamp_pb2.Timestamp
    counter_nano_usd: int
    ledger_nano_usd: int
    reserved_nano_usd: int
    def __init__(self, tenant: _Optional[str] = ..., scope: _Optional[str] = ..., limit: _Optional[str] = ..., period_start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., counter_nano_usd: _Optional[int] = ..., ledger_nano_usd: _Optional[int] = ..., reserved_nano_usd: _Optional[int] = ...) -> None: ...

class RebuildCountersRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class RebuildCountersResponse(_message.Message):
    __slots__ = ("counters",)
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    counters: _containers.RepeatedCompositeFieldContainer[CounterDrift]
    def __init__(self, counters: _Optional[_Iterable[_Union[CounterDrift, _Mapping]]] = ...) -> None: ...

class ListPriceRevisionsRequest(_message.Message):
    __slots__ = ("upstream", "model", "current_only")
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CURRENT_ONLY_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    model: str
    current_only: bool
    def __init__(self, upstream: _Optional[str] = ..., model: _Optional[str] = ..., current_only: bool = ...) -> None: ...

class ListPriceRevisionsResponse(_message.Message):
    __slots__ = ("revisions",)
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    revisions: _containers.RepeatedCompositeFieldContainer[PriceRevision]
    def __init__(self, revisions: _Optional[_Iterable[_Union[PriceRevision, _Mapping]]] = ...) -> None: ...

class PriceRevision(_message.Message):
    __slots__ = ("revision", "effective_at", "upstream", "model", "tier", "above_input_tokens", "input_nano_usd", "cached_input_nano_usd", "output_nano_usd", "cache_write_nano_usd", "cache_write_1h_nano_usd", "is_unknown", "source")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_AT_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    ABOVE_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    IS_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    revision: str
    effective_at: _timestamp_pb2.Timestamp
    upstream: str
    model: str
    tier: str
    above_input_tokens: int
    input_nano_usd: int
    cached_input_nano_usd: int
    output_nano_usd: int
    cache_write_nano_usd: int
    cache_write_1h_nano_usd: int
    is_unknown: bool
    source: str
    def __init__(self, revision: _Optional[str] = ..., effective_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., upstream: _Optional[str] = ..., model: _Optional[str] = ..., tier: _Optional[str] = ..., above_input_tokens: _Optional[int] = ..., input_nano_usd: _Optional[int] = ..., cached_input_nano_usd: _Optional[int] = ..., output_nano_usd: _Optional[int] = ..., cache_write_nano_usd: _Optional[int] = ..., cache_write_1h_nano_usd: _Optional[int] = ..., is_unknown: bool = ..., source: _Optional[str] = ...) -> None: ...

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UsageFilter(_message.Message):
    __slots__ = ("tenant", "team", "user", "end_user", "key", "feature", "model", "requested_model", "upstream", "surface", "prompt", "experiment", "variant", "task", "outcome", "tag", "since", "until", "operation")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_MODEL_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    team: _containers.RepeatedScalarFieldContainer[str]
    user: _containers.RepeatedScalarFieldContainer[str]
    end_user: _containers.RepeatedScalarFieldContainer[str]
    key: _containers.RepeatedScalarFieldContainer[str]
    feature: _containers.RepeatedScalarFieldContainer[str]
    model: _containers.RepeatedScalarFieldContainer[str]
    requested_model: _containers.RepeatedScalarFieldContainer[str]
    upstream: _containers.RepeatedScalarFieldContainer[str]
    surface: _containers.RepeatedScalarFieldContainer[str]
    prompt: _containers.RepeatedScalarFieldContainer[str]
    experiment: _containers.RepeatedScalarFieldContainer[str]
    variant: _containers.RepeatedScalarFieldContainer[str]
    task: _containers.RepeatedScalarFieldContainer[str]
    outcome: _containers.RepeatedScalarFieldContainer[str]
    tag: _containers.RepeatedScalarFieldContainer[str]
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    operation: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant: _Optional[str] = ..., team: _Optional[_Iterable[str]] = ..., user: _Optional[_Iterable[str]] = ..., end_user: _Optional[_Iterable[str]] = ..., key: _Optional[_Iterable[str]] = ..., feature: _Optional[_Iterable[str]] = ..., model: _Optional[_Iterable[str]] = ..., requested_model: _Optional[_Iterable[str]] = ..., upstream: _Optional[_Iterable[str]] = ..., surface: _Optional[_Iterable[str]] = ..., prompt: _Optional[_Iterable[str]] = ..., experiment: _Optional[_Iterable[str]] = ..., variant: _Optional[_Iterable[str]] = ..., task: _Optional[_Iterable[str]] = ..., outcome: _Optional[_Iterable[str]] = ..., tag: _Optional[_Iterable[str]] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., operation: _Optional[_Iterable[str]] = ...) -> None: ...

class QueryUsageRequest(_message.Message):
    __slots__ = ("filter", "by", "time_zone", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: UsageFilter
    by: _containers.RepeatedScalarFieldContainer[str]
    time_zone: str
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[UsageFilter, _Mapping]] = ..., by: _Optional[_Iterable[str]] = ..., time_zone: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class QueryUsageResponse(_message.Message):
    __slots__ = ("lines", "next_page_token")
    LINES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[UsageLine]
    next_page_token: str
    def __init__(self, lines: _Optional[_Iterable[_Union[UsageLine, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UsageLine(_message.Message):
    __slots__ = ("groups", "start", "end", "sums")
    class GroupsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.ScalarMap[str, str]
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    sums: UsageSums
    def __init__(self, groups: _Optional[_Mapping[str, str]] = ..., start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., sums: _Optional[_Union[UsageSums, _Mapping]] = ...) -> None: ...

class UsageSums(_message.Message):
    __slots__ = ("requests", "errors", "cancelled", "cache_hits", "degraded", "unpriced", "estimated", "attempts", "input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens", "reasoning_tokens", "saved_tokens", "compressed_tokens", "cost_nano_usd", "saved_nano_usd", "duration_ms")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    CACHE_HITS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SAVED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPRESSED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    SAVED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    requests: int
    errors: int
    cancelled: int
    cache_hits: int
    degraded: int
    unpriced: int
    estimated: int
    attempts: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    saved_tokens: int
    compressed_tokens: int
    cost_nano_usd: int
    saved_nano_usd: int
    duration_ms: float
    def __init__(self, requests: _Optional[int] = ..., errors: _Optional[int] = ..., cancelled: _Optional[int] = ..., cache_hits: _Optional[int] = ..., degraded: _Optional[int] = ..., unpriced: _Optional[int] = ..., estimated: _Optional[int] = ..., attempts: _Optional[int] = ..., input_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., cache_write_input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., saved_tokens: _Optional[int] = ..., compressed_tokens: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ..., saved_nano_usd: _Optional[int] = ..., duration_ms: _Optional[float] = ...) -> None: ...

class ListRequestsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: UsageFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[UsageFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRequestsResponse(_message.Message):
    __slots__ = ("requests", "next_page_token")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[UsedRequest]
    next_page_token: str
    def __init__(self, requests: _Optional[_Iterable[_Union[UsedRequest, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UsedRequest(_message.Message):
    __slots__ = ("generation_id", "request_id", "created_at", "tenant", "team", "user", "end_user", "key", "feature", "model", "requested_model", "upstream", "surface", "prompt", "prompt_version", "experiment", "variant", "task", "outcome", "cache", "usage_source", "tags", "kind", "finish_reason", "time_to_first_token_ms", "sums", "operation", "run_as")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_MODEL_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    USAGE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_MS_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    RUN_AS_FIELD_NUMBER: _ClassVar[int]
    generation_id: str
    request_id: str
    created_at: _timestamp_pb2.Timestamp
    tenant: str
    team: str
    user: str
    end_user: str
    key: str
    feature: str
    model: str
    requested_model: str
    upstream: str
    surface: str
    prompt: str
    prompt_version: str
    experiment: str
    variant: str
    task: str
    outcome: str
    cache: str
    usage_source: str
    tags: _containers.ScalarMap[str, str]
    kind: str
    finish_reason: str
    time_to_first_token_ms: float
    sums: UsageSums
    operation: str
    run_as: str
    def __init__(self, generation_id: _Optional[str] = ..., request_id: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., tenant: _Optional[str] = ..., team: _Optional[str] = ..., user: _Optional[str] = ..., end_user: _Optional[str] = ..., key: _Optional[str] = ..., feature: _Optional[str] = ..., model: _Optional[str] = ..., requested_model: _Optional[str] = ..., upstream: _Optional[str] = ..., surface: _Optional[str] = ..., prompt: _Optional[str] = ..., prompt_version: _Optional[str] = ..., experiment: _Optional[str] = ..., variant: _Optional[str] = ..., task: _Optional[str] = ..., outcome: _Optional[str] = ..., cache: _Optional[str] = ..., usage_source: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., kind: _Optional[str] = ..., finish_reason: _Optional[str] = ..., time_to_first_token_ms: _Optional[float] = ..., sums: _Optional[_Union[UsageSums, _Mapping]] = ..., operation: _Optional[str] = ..., run_as: _Optional[str] = ...) -> None: ...

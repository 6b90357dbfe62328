from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from penstock.gateway.v1 import upstream_pb2 as _upstream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("is_healthy", "problems", "replica", "version", "started_at", "requests_in_flight", "traffic", "upstreams", "configuration_revision", "configuration_since", "unwell_places")
    IS_HEALTHY_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    UPSTREAMS_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_REVISION_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_SINCE_FIELD_NUMBER: _ClassVar[int]
    UNWELL_PLACES_FIELD_NUMBER: _ClassVar[int]
    is_healthy: bool
    problems: _containers.RepeatedScalarFieldContainer[str]
    replica: str
    version: str
    started_at: _timestamp_pb2.Timestamp
    requests_in_flight: int
    traffic: TrafficSummary
    upstreams: _containers.RepeatedCompositeFieldContainer[UpstreamStatus]
    configuration_revision: str
    configuration_since: _timestamp_pb2.Timestamp
    unwell_places: _containers.RepeatedCompositeFieldContainer[_upstream_pb2.UpstreamPlace]
    def __init__(self, is_healthy: bool = ..., problems: _Optional[_Iterable[str]] = ..., replica: _Optional[str] = ..., version: _Optional[str] = ..., started_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., requests_in_flight: _Optional[int] = ..., traffic: _Optional[_Union[TrafficSummary, _Mapping]] = ..., upstreams: _Optional[_Iterable[_Union[UpstreamStatus, _Mapping]]] = ..., configuration_revision: _Optional[str] = ..., configuration_since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., unwell_places: _Optional[_Iterable[_Union[_upstream_pb2.UpstreamPlace, _Mapping]]] = ...) -> None: ...

class TrafficSummary(_message.Message):
    __slots__ = ("window", "requests", "failures", "error_ratio", "duration_p50_ms", "duration_p95_ms", "time_to_first_token_p50_ms", "time_to_first_token_p95_ms", "cache_hit_ratio", "cost_per_request_nano_usd")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    ERROR_RATIO_FIELD_NUMBER: _ClassVar[int]
    DURATION_P50_MS_FIELD_NUMBER: _ClassVar[int]
    DURATION_P95_MS_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_P50_MS_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FIRST_TOKEN_P95_MS_FIELD_NUMBER: _ClassVar[int]
    CACHE_HIT_RATIO_FIELD_NUMBER: _ClassVar[int]
    COST_PER_REQUEST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    window: _duration_pb2.Duration
    requests: int
    failures: int
    error_ratio: float
    duration_p50_ms: float
    duration_p95_ms: float
    time_to_first_token_p50_ms: float
    time_to_first_token_p95_ms: float
    cache_hit_ratio: float
    cost_per_request_nano_usd: int
    def __init__(self, window: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., requests: _Optional[int] = ..., failures: _Optional[int] = ..., error_ratio: _Optional[float] = ..., duration_p50_ms: _Optional[float] = ..., duration_p95_ms: _Optional[float] = ..., time_to_first_token_p50_ms: _Optional[float] = ..., time_to_first_token_p95_ms: _Optional[float] = ..., cache_hit_ratio: _Optional[float] = ..., cost_per_request_nano_usd: _Optional[int] = ...) -> None: ...

class UpstreamStatus(_message.Message):
    __slots__ = ("name", "models", "attempts", "failed_attempts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    models: _containers.RepeatedCompositeFieldContainer[UpstreamModelStatus]
    attempts: int
    failed_attempts: int
    def __init__(self, name: _Optional[str] = ..., models: _Optional[_Iterable[_Union[UpstreamModelStatus, _Mapping]]] = ..., attempts: _Optional[int] = ..., failed_attempts: _Optional[int] = ...) -> None: ...

class UpstreamModelStatus(_message.Message):
    __slots__ = ("name", "state", "reason")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[UpstreamModelStatus.State]
        STATE_READY: _ClassVar[UpstreamModelStatus.State]
        STATE_LOADING: _ClassVar[UpstreamModelStatus.State]
        STATE_UNLOADING: _ClassVar[UpstreamModelStatus.State]
        STATE_UNAVAILABLE: _ClassVar[UpstreamModelStatus.State]
    STATE_UNSPECIFIED: UpstreamModelStatus.State
    STATE_READY: UpstreamModelStatus.State
    STATE_LOADING: UpstreamModelStatus.State
    STATE_UNLOADING: UpstreamModelStatus.State
    STATE_UNAVAILABLE: UpstreamModelStatus.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: UpstreamModelStatus.State
    reason: str
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[UpstreamModelStatus.State, str]] = ..., reason: _Optional[str] = ...) -> None: ...

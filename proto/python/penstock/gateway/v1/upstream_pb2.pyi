from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UpstreamPlace(_message.Message):
    __slots__ = ("upstream", "endpoint", "model", "state", "reason", "since", "until", "latency", "in_flight", "waiting", "limit", "probed_at", "probe_outcome")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[UpstreamPlace.State]
        STATE_OK: _ClassVar[UpstreamPlace.State]
        STATE_SLOW: _ClassVar[UpstreamPlace.State]
        STATE_COOLING: _ClassVar[UpstreamPlace.State]
        STATE_EJECTED: _ClassVar[UpstreamPlace.State]
        STATE_PROBING: _ClassVar[UpstreamPlace.State]
        STATE_BY_HAND: _ClassVar[UpstreamPlace.State]
    STATE_UNSPECIFIED: UpstreamPlace.State
    STATE_OK: UpstreamPlace.State
    STATE_SLOW: UpstreamPlace.State
    STATE_COOLING: UpstreamPlace.State
    STATE_EJECTED: UpstreamPlace.State
    STATE_PROBING: UpstreamPlace.State
    STATE_BY_HAND: UpstreamPlace.State
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PROBED_AT_FIELD_NUMBER: _ClassVar[int]
    PROBE_OUTCOME_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    endpoint: str
    model: str
    state: UpstreamPlace.State
    reason: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    latency: _duration_pb2.Duration
    in_flight: int
    waiting: int
    limit: int
    probed_at: _timestamp_pb2.Timestamp
    probe_outcome: str
    def __init__(self, upstream: _Optional[str] = ..., endpoint: _Optional[str] = ..., model: _Optional[str] = ..., state: _Optional[_Union[UpstreamPlace.State, str]] = ..., reason: _Optional[str] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., latency: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., in_flight: _Optional[int] = ..., waiting: _Optional[int] = ..., limit: _Optional[int] = ..., probed_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., probe_outcome: _Optional[str] = ...) -> None: ...

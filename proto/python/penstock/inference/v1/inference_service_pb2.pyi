from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from penstock.inference.v1 import upstream_batch_service_pb2 as _upstream_batch_service_pb2
from penstock.llm.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_UNLOADING: _ClassVar[ModelState]
    MODEL_STATE_UNAVAILABLE: _ClassVar[ModelState]

class Capability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPABILITY_UNSPECIFIED: _ClassVar[Capability]
    CAPABILITY_TOOLS: _ClassVar[Capability]
    CAPABILITY_VISION: _ClassVar[Capability]
    CAPABILITY_JSON_SCHEMA: _ClassVar[Capability]
    CAPABILITY_REASONING: _ClassVar[Capability]
    CAPABILITY_PREFILL: _ClassVar[Capability]
    CAPABILITY_CHAT: _ClassVar[Capability]
    CAPABILITY_EMBEDDINGS: _ClassVar[Capability]
    CAPABILITY_RERANK: _ClassVar[Capability]
    CAPABILITY_MODERATION: _ClassVar[Capability]

class UpstreamAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UPSTREAM_ACTION_UNSPECIFIED: _ClassVar[UpstreamAction]
    UPSTREAM_ACTION_PROBE: _ClassVar[UpstreamAction]
    UPSTREAM_ACTION_EJECT: _ClassVar[UpstreamAction]
    UPSTREAM_ACTION_RESTORE: _ClassVar[UpstreamAction]

class PlaceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLACE_STATE_UNSPECIFIED: _ClassVar[PlaceState]
    PLACE_STATE_OK: _ClassVar[PlaceState]
    PLACE_STATE_SLOW: _ClassVar[PlaceState]
    PLACE_STATE_COOLING: _ClassVar[PlaceState]
    PLACE_STATE_EJECTED: _ClassVar[PlaceState]
    PLACE_STATE_PROBING: _ClassVar[PlaceState]
    PLACE_STATE_BY_HAND: _ClassVar[PlaceState]
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_UNLOADING: ModelState
MODEL_STATE_UNAVAILABLE: ModelState
CAPABILITY_UNSPECIFIED: Capability
CAPABILITY_TOOLS: Capability
CAPABILITY_VISION: Capability
CAPABILITY_JSON_SCHEMA: Capability
CAPABILITY_REASONING: Capability
CAPABILITY_PREFILL: Capability
CAPABILITY_CHAT: Capability
CAPABILITY_EMBEDDINGS: Capability
CAPABILITY_RERANK: Capability
CAPABILITY_MODERATION: Capability
UPSTREAM_ACTION_UNSPECIFIED: UpstreamAction
UPSTREAM_ACTION_PROBE: UpstreamAction
UPSTREAM_ACTION_EJECT: UpstreamAction
UPSTREAM_ACTION_RESTORE: UpstreamAction
PLACE_STATE_UNSPECIFIED: PlaceState
PLACE_STATE_OK: PlaceState
PLACE_STATE_SLOW: PlaceState
PLACE_STATE_COOLING: PlaceState
PLACE_STATE_EJECTED: PlaceState
PLACE_STATE_PROBING: PlaceState
PLACE_STATE_BY_HAND: PlaceState

class GenerateRequest(_message.Message):
    __slots__ = ("input", "plan", "whole", "batches", "no_recovery", "priority", "no_hedging", "given", "given_is_owed", "kept")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    NO_RECOVERY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    NO_HEDGING_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    GIVEN_IS_OWED_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    input: _generation_pb2.GenerationInput
    plan: _generation_pb2.Plan
    whole: bool
    batches: bool
    no_recovery: bool
    priority: _generation_pb2.Priority
    no_hedging: bool
    given: _containers.RepeatedCompositeFieldContainer[_generation_pb2.GenerationEvent]
    given_is_owed: bool
    kept: _upstream_batch_service_pb2.KeptAnswer
    def __init__(self, input: _Optional[_Union[_generation_pb2.GenerationInput, _Mapping]] = ..., plan: _Optional[_Union[_generation_pb2.Plan, _Mapping]] = ..., whole: bool = ..., batches: bool = ..., no_recovery: bool = ..., priority: _Optional[_Union[_generation_pb2.Priority, str]] = ..., no_hedging: bool = ..., given: _Optional[_Iterable[_Union[_generation_pb2.GenerationEvent, _Mapping]]] = ..., given_is_owed: bool = ..., kept: _Optional[_Union[_upstream_batch_service_pb2.KeptAnswer, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_generation_pb2.GenerationEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[_generation_pb2.GenerationEvent, _Mapping]]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class LoadModelRequest(_message.Message):
    __slots__ = ("candidate",)
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    candidate: _generation_pb2.Candidate
    def __init__(self, candidate: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ...) -> None: ...

class LoadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class UnloadModelRequest(_message.Message):
    __slots__ = ("candidate",)
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    candidate: _generation_pb2.Candidate
    def __init__(self, candidate: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ...) -> None: ...

class UnloadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("candidate", "context_window_tokens", "capabilities", "state", "state_reason", "is_controllable", "takes_batches")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    IS_CONTROLLABLE_FIELD_NUMBER: _ClassVar[int]
    TAKES_BATCHES_FIELD_NUMBER: _ClassVar[int]
    candidate: _generation_pb2.Candidate
    context_window_tokens: int
    capabilities: _containers.RepeatedScalarFieldContainer[Capability]
    state: ModelState
    state_reason: str
    is_controllable: bool
    takes_batches: bool
    def __init__(self, candidate: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ..., context_window_tokens: _Optional[int] = ..., capabilities: _Optional[_Iterable[_Union[Capability, str]]] = ..., state: _Optional[_Union[ModelState, str]] = ..., state_reason: _Optional[str] = ..., is_controllable: bool = ..., takes_batches: bool = ...) -> None: ...

class ListUpstreamsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListUpstreamsResponse(_message.Message):
    __slots__ = ("places",)
    PLACES_FIELD_NUMBER: _ClassVar[int]
    places: _containers.RepeatedCompositeFieldContainer[UpstreamPlace]
    def __init__(self, places: _Optional[_Iterable[_Union[UpstreamPlace, _Mapping]]] = ...) -> None: ...

class ControlUpstreamRequest(_message.Message):
    __slots__ = ("upstream", "model", "action", "duration", "reason", "force")
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    model: str
    action: UpstreamAction
    duration: _duration_pb2.Duration
    reason: str
    force: bool
    def __init__(self, upstream: _Optional[str] = ..., model: _Optional[str] = ..., action: _Optional[_Union[UpstreamAction, str]] = ..., duration: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ..., force: bool = ...) -> None: ...

class ControlUpstreamResponse(_message.Message):
    __slots__ = ("places",)
    PLACES_FIELD_NUMBER: _ClassVar[int]
    places: _containers.RepeatedCompositeFieldContainer[UpstreamPlace]
    def __init__(self, places: _Optional[_Iterable[_Union[UpstreamPlace, _Mapping]]] = ...) -> None: ...

class UpstreamPlace(_message.Message):
    __slots__ = ("upstream", "endpoint", "model", "state", "reason", "since", "until", "latency", "in_flight", "waiting", "limit", "probed_at", "probe_outcome")
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
    state: PlaceState
    reason: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    latency: _duration_pb2.Duration
    in_flight: int
    waiting: int
    limit: int
    probed_at: _timestamp_pb2.Timestamp
    probe_outcome: str
    def __init__(self, upstream: _Optional[str] = ..., endpoint: _Optional[str] = ..., model: _Optional[str] = ..., state: _Optional[_Union[PlaceState, str]] = ..., reason: _Optional[str] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., latency: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., in_flight: _Optional[int] = ..., waiting: _Optional[int] = ..., limit: _Optional[int] = ..., probed_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., probe_outcome: _Optional[str] = ...) -> None: ...

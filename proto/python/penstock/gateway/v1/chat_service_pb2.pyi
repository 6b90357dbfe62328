from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from penstock.gateway.v1 import knowledge_use_pb2 as _knowledge_use_pb2
from penstock.llm.v1 import generation_pb2 as _generation_pb2
from penstock.llm.v1 import message_pb2 as _message_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CacheControl(_message.Message):
    __slots__ = ("no_store", "no_cache", "only_if_cached", "max_age", "exact", "private", "ttl", "tags")
    NO_STORE_FIELD_NUMBER: _ClassVar[int]
    NO_CACHE_FIELD_NUMBER: _ClassVar[int]
    ONLY_IF_CACHED_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    no_store: bool
    no_cache: bool
    only_if_cached: bool
    max_age: _duration_pb2.Duration
    exact: bool
    private: bool
    ttl: _duration_pb2.Duration
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, no_store: bool = ..., no_cache: bool = ..., only_if_cached: bool = ..., max_age: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., exact: bool = ..., private: bool = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class CacheResult(_message.Message):
    __slots__ = ("status", "tier", "similarity", "unset_temperature", "stale", "entry_id", "age", "reason")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[CacheResult.Status]
        STATUS_HIT: _ClassVar[CacheResult.Status]
        STATUS_MISS: _ClassVar[CacheResult.Status]
        STATUS_BYPASS: _ClassVar[CacheResult.Status]
    STATUS_UNSPECIFIED: CacheResult.Status
    STATUS_HIT: CacheResult.Status
    STATUS_MISS: CacheResult.Status
    STATUS_BYPASS: CacheResult.Status
    class Tier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TIER_UNSPECIFIED: _ClassVar[CacheResult.Tier]
        TIER_EXACT: _ClassVar[CacheResult.Tier]
        TIER_SEMANTIC: _ClassVar[CacheResult.Tier]
        TIER_FLIGHT: _ClassVar[CacheResult.Tier]
    TIER_UNSPECIFIED: CacheResult.Tier
    TIER_EXACT: CacheResult.Tier
    TIER_SEMANTIC: CacheResult.Tier
    TIER_FLIGHT: CacheResult.Tier
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    UNSET_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    status: CacheResult.Status
    tier: CacheResult.Tier
    similarity: float
    unset_temperature: bool
    stale: bool
    entry_id: str
    age: _duration_pb2.Duration
    reason: str
    def __init__(self, status: _Optional[_Union[CacheResult.Status, str]] = ..., tier: _Optional[_Union[CacheResult.Tier, str]] = ..., similarity: _Optional[float] = ..., unset_temperature: bool = ..., stale: bool = ..., entry_id: _Optional[str] = ..., age: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class PromptReference(_message.Message):
    __slots__ = ("id", "version", "label", "variables")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: int
    label: str
    variables: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., version: _Optional[int] = ..., label: _Optional[str] = ..., variables: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ChatRequest(_message.Message):
    __slots__ = ("input", "cache_control", "context", "no_degradation", "no_hedging", "compress", "policy", "priority", "prompt", "knowledge")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CACHE_CONTROL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    NO_DEGRADATION_FIELD_NUMBER: _ClassVar[int]
    NO_HEDGING_FIELD_NUMBER: _ClassVar[int]
    COMPRESS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    input: _generation_pb2.GenerationInput
    cache_control: CacheControl
    context: _generation_pb2.RequestContext
    no_degradation: bool
    no_hedging: bool
    compress: bool
    policy: _generation_pb2.RoutingPolicy
    priority: _generation_pb2.Priority
    prompt: PromptReference
    knowledge: _knowledge_use_pb2.KnowledgeUse
    def __init__(self, input: _Optional[_Union[_generation_pb2.GenerationInput, _Mapping]] = ..., cache_control: _Optional[_Union[CacheControl, _Mapping]] = ..., context: _Optional[_Union[_generation_pb2.RequestContext, _Mapping]] = ..., no_degradation: bool = ..., no_hedging: bool = ..., compress: bool = ..., policy: _Optional[_Union[_generation_pb2.RoutingPolicy, str]] = ..., priority: _Optional[_Union[_generation_pb2.Priority, str]] = ..., prompt: _Optional[_Union[PromptReference, _Mapping]] = ..., knowledge: _Optional[_Union[_knowledge_use_pb2.KnowledgeUse, _Mapping]] = ...) -> None: ...

class ChatResponse(_message.Message):
    __slots__ = ("generation_id", "model", "message", "finish_reason", "usage", "cache", "upstream", "attempts", "cost_nano_usd", "cost_is_unknown", "more_choices", "dropped", "logprobs_json", "degraded", "stopped_by", "knowledge")
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    COST_IS_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    MORE_CHOICES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_JSON_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    generation_id: str
    model: str
    message: _message_pb2.Message
    finish_reason: _generation_pb2.FinishReason
    usage: _generation_pb2.TokenUsage
    cache: CacheResult
    upstream: str
    attempts: int
    cost_nano_usd: int
    cost_is_unknown: bool
    more_choices: _containers.RepeatedCompositeFieldContainer[AnsweredChoice]
    dropped: _containers.RepeatedScalarFieldContainer[str]
    logprobs_json: str
    degraded: _generation_pb2.Degradation
    stopped_by: str
    knowledge: _knowledge_use_pb2.KnowledgeTold
    def __init__(self, generation_id: _Optional[str] = ..., model: _Optional[str] = ..., message: _Optional[_Union[_message_pb2.Message, _Mapping]] = ..., finish_reason: _Optional[_Union[_generation_pb2.FinishReason, str]] = ..., usage: _Optional[_Union[_generation_pb2.TokenUsage, _Mapping]] = ..., cache: _Optional[_Union[CacheResult, _Mapping]] = ..., upstream: _Optional[str] = ..., attempts: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ..., cost_is_unknown: bool = ..., more_choices: _Optional[_Iterable[_Union[AnsweredChoice, _Mapping]]] = ..., dropped: _Optional[_Iterable[str]] = ..., logprobs_json: _Optional[str] = ..., degraded: _Optional[_Union[_generation_pb2.Degradation, str]] = ..., stopped_by: _Optional[str] = ..., knowledge: _Optional[_Union[_knowledge_use_pb2.KnowledgeTold, _Mapping]] = ...) -> None: ...

class AnsweredChoice(_message.Message):
    __slots__ = ("message", "finish_reason", "logprobs_json")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_JSON_FIELD_NUMBER: _ClassVar[int]
    message: _message_pb2.Message
    finish_reason: _generation_pb2.FinishReason
    logprobs_json: str
    def __init__(self, message: _Optional[_Union[_message_pb2.Message, _Mapping]] = ..., finish_reason: _Optional[_Union[_generation_pb2.FinishReason, str]] = ..., logprobs_json: _Optional[str] = ...) -> None: ...

class StreamChatRequest(_message.Message):
    __slots__ = ("input", "cache_control", "context", "no_recovery", "no_degradation", "no_hedging", "compress", "policy", "priority", "prompt", "knowledge")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CACHE_CONTROL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    NO_RECOVERY_FIELD_NUMBER: _ClassVar[int]
    NO_DEGRADATION_FIELD_NUMBER: _ClassVar[int]
    NO_HEDGING_FIELD_NUMBER: _ClassVar[int]
    COMPRESS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    input: _generation_pb2.GenerationInput
    cache_control: CacheControl
    context: _generation_pb2.RequestContext
    no_recovery: bool
    no_degradation: bool
    no_hedging: bool
    compress: bool
    policy: _generation_pb2.RoutingPolicy
    priority: _generation_pb2.Priority
    prompt: PromptReference
    knowledge: _knowledge_use_pb2.KnowledgeUse
    def __init__(self, input: _Optional[_Union[_generation_pb2.GenerationInput, _Mapping]] = ..., cache_control: _Optional[_Union[CacheControl, _Mapping]] = ..., context: _Optional[_Union[_generation_pb2.RequestContext, _Mapping]] = ..., no_recovery: bool = ..., no_degradation: bool = ..., no_hedging: bool = ..., compress: bool = ..., policy: _Optional[_Union[_generation_pb2.RoutingPolicy, str]] = ..., priority: _Optional[_Union[_generation_pb2.Priority, str]] = ..., prompt: _Optional[_Union[PromptReference, _Mapping]] = ..., knowledge: _Optional[_Union[_knowledge_use_pb2.KnowledgeUse, _Mapping]] = ...) -> None: ...

class StreamChatResponse(_message.Message):
    __slots__ = ("event", "knowledge")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    event: _generation_pb2.GenerationEvent
    knowledge: _knowledge_use_pb2.KnowledgeTold
    def __init__(self, event: _Optional[_Union[_generation_pb2.GenerationEvent, _Mapping]] = ..., knowledge: _Optional[_Union[_knowledge_use_pb2.KnowledgeTold, _Mapping]] = ...) -> None: ...

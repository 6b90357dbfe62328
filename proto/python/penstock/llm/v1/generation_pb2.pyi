from google.api import field_behavior_pb2 as _field_behavior_pb2
from penstock.llm.v1 import message_pb2 as _message_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_CRITICAL: _ClassVar[Priority]
    PRIORITY_DEFAULT: _ClassVar[Priority]
    PRIORITY_SHEDDABLE: _ClassVar[Priority]

class RoutingPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUTING_POLICY_UNSPECIFIED: _ClassVar[RoutingPolicy]
    ROUTING_POLICY_BALANCED: _ClassVar[RoutingPolicy]
    ROUTING_POLICY_COST: _ClassVar[RoutingPolicy]
    ROUTING_POLICY_LATENCY: _ClassVar[RoutingPolicy]
    ROUTING_POLICY_QUALITY: _ClassVar[RoutingPolicy]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
    FINISH_REASON_TOOL_CALLS: _ClassVar[FinishReason]
    FINISH_REASON_CONTENT_FILTER: _ClassVar[FinishReason]

class Degradation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADATION_UNSPECIFIED: _ClassVar[Degradation]
    DEGRADATION_SMALLER_MODEL: _ClassVar[Degradation]
    DEGRADATION_STALE: _ClassVar[Degradation]
    DEGRADATION_TEMPLATE: _ClassVar[Degradation]
    DEGRADATION_BUDGET: _ClassVar[Degradation]

class UnsupportedFields(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNSUPPORTED_FIELDS_UNSPECIFIED: _ClassVar[UnsupportedFields]
    UNSUPPORTED_FIELDS_DROP: _ClassVar[UnsupportedFields]
    UNSUPPORTED_FIELDS_PASS: _ClassVar[UnsupportedFields]
PRIORITY_UNSPECIFIED: Priority
PRIORITY_CRITICAL: Priority
PRIORITY_DEFAULT: Priority
PRIORITY_SHEDDABLE: Priority
ROUTING_POLICY_UNSPECIFIED: RoutingPolicy
ROUTING_POLICY_BALANCED: RoutingPolicy
ROUTING_POLICY_COST: RoutingPolicy
ROUTING_POLICY_LATENCY: RoutingPolicy
ROUTING_POLICY_QUALITY: RoutingPolicy
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason
FINISH_REASON_TOOL_CALLS: FinishReason
FINISH_REASON_CONTENT_FILTER: FinishReason
DEGRADATION_UNSPECIFIED: Degradation
DEGRADATION_SMALLER_MODEL: Degradation
DEGRADATION_STALE: Degradation
DEGRADATION_TEMPLATE: Degradation
DEGRADATION_BUDGET: Degradation
UNSUPPORTED_FIELDS_UNSPECIFIED: UnsupportedFields
UNSUPPORTED_FIELDS_DROP: UnsupportedFields
UNSUPPORTED_FIELDS_PASS: UnsupportedFields

class GenerationInput(_message.Message):
    __slots__ = ("model", "messages", "tools", "tool_choice", "sampling", "response_format", "extra_json", "hints_json")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CHOICE_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_JSON_FIELD_NUMBER: _ClassVar[int]
    HINTS_JSON_FIELD_NUMBER: _ClassVar[int]
    model: str
    messages: _containers.RepeatedCompositeFieldContainer[_message_pb2.Message]
    tools: _containers.RepeatedCompositeFieldContainer[_message_pb2.Tool]
    tool_choice: _message_pb2.ToolChoice
    sampling: SamplingParams
    response_format: ResponseFormat
    extra_json: str
    hints_json: str
    def __init__(self, model: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[_message_pb2.Message, _Mapping]]] = ..., tools: _Optional[_Iterable[_Union[_message_pb2.Tool, _Mapping]]] = ..., tool_choice: _Optional[_Union[_message_pb2.ToolChoice, _Mapping]] = ..., sampling: _Optional[_Union[SamplingParams, _Mapping]] = ..., response_format: _Optional[_Union[ResponseFormat, _Mapping]] = ..., extra_json: _Optional[str] = ..., hints_json: _Optional[str] = ...) -> None: ...

class SamplingParams(_message.Message):
    __slots__ = ("temperature", "top_p", "top_k", "max_output_tokens", "stop", "seed", "frequency_penalty", "presence_penalty", "reasoning_effort", "top_logprobs", "choices")
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_PENALTY_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_PENALTY_FIELD_NUMBER: _ClassVar[int]
    REASONING_EFFORT_FIELD_NUMBER: _ClassVar[int]
    TOP_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    top_p: float
    top_k: int
    max_output_tokens: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    seed: int
    frequency_penalty: float
    presence_penalty: float
    reasoning_effort: str
    top_logprobs: int
    choices: int
    def __init__(self, temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., seed: _Optional[int] = ..., frequency_penalty: _Optional[float] = ..., presence_penalty: _Optional[float] = ..., reasoning_effort: _Optional[str] = ..., top_logprobs: _Optional[int] = ..., choices: _Optional[int] = ...) -> None: ...

class ResponseFormat(_message.Message):
    __slots__ = ("json_object", "json_schema")
    JSON_OBJECT_FIELD_NUMBER: _ClassVar[int]
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    json_object: bool
    json_schema: JsonSchema
    def __init__(self, json_object: bool = ..., json_schema: _Optional[_Union[JsonSchema, _Mapping]] = ...) -> None: ...

class JsonSchema(_message.Message):
    __slots__ = ("name", "schema_json", "strict", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    schema_json: str
    strict: bool
    description: str
    def __init__(self, name: _Optional[str] = ..., schema_json: _Optional[str] = ..., strict: bool = ..., description: _Optional[str] = ...) -> None: ...

class RequestContext(_message.Message):
    __slots__ = ("user", "feature", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    USER_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    user: str
    feature: str
    tags: _containers.ScalarMap[str, str]
    def __init__(self, user: _Optional[str] = ..., feature: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TokenUsage(_message.Message):
    __slots__ = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens", "reasoning_tokens", "estimated", "cache_write_1h_input_tokens")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    reasoning_tokens: int
    estimated: bool
    cache_write_1h_input_tokens: int
    def __init__(self, input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., cache_write_input_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., estimated: bool = ..., cache_write_1h_input_tokens: _Optional[int] = ...) -> None: ...

class GenerationEvent(_message.Message):
    __slots__ = ("started", "text_delta", "reasoning_delta", "tool_call_delta", "usage", "finished", "choice_finished", "opaque_delta")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    TEXT_DELTA_FIELD_NUMBER: _ClassVar[int]
    REASONING_DELTA_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_DELTA_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FINISHED_FIELD_NUMBER: _ClassVar[int]
    OPAQUE_DELTA_FIELD_NUMBER: _ClassVar[int]
    started: GenerationStarted
    text_delta: TextDelta
    reasoning_delta: ReasoningDelta
    tool_call_delta: ToolCallDelta
    usage: TokenUsage
    finished: GenerationFinished
    choice_finished: ChoiceFinished
    opaque_delta: OpaqueDelta
    def __init__(self, started: _Optional[_Union[GenerationStarted, _Mapping]] = ..., text_delta: _Optional[_Union[TextDelta, _Mapping]] = ..., reasoning_delta: _Optional[_Union[ReasoningDelta, _Mapping]] = ..., tool_call_delta: _Optional[_Union[ToolCallDelta, _Mapping]] = ..., usage: _Optional[_Union[TokenUsage, _Mapping]] = ..., finished: _Optional[_Union[GenerationFinished, _Mapping]] = ..., choice_finished: _Optional[_Union[ChoiceFinished, _Mapping]] = ..., opaque_delta: _Optional[_Union[OpaqueDelta, _Mapping]] = ...) -> None: ...

class GenerationStarted(_message.Message):
    __slots__ = ("generation_id", "answered_by", "unit_prices", "dropped")
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    generation_id: str
    answered_by: Candidate
    unit_prices: UnitPrices
    dropped: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, generation_id: _Optional[str] = ..., answered_by: _Optional[_Union[Candidate, _Mapping]] = ..., unit_prices: _Optional[_Union[UnitPrices, _Mapping]] = ..., dropped: _Optional[_Iterable[str]] = ...) -> None: ...

class TextDelta(_message.Message):
    __slots__ = ("text", "choice", "logprobs_json", "citations_json", "is_refusal")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_JSON_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_JSON_FIELD_NUMBER: _ClassVar[int]
    IS_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    text: str
    choice: int
    logprobs_json: str
    citations_json: str
    is_refusal: bool
    def __init__(self, text: _Optional[str] = ..., choice: _Optional[int] = ..., logprobs_json: _Optional[str] = ..., citations_json: _Optional[str] = ..., is_refusal: bool = ...) -> None: ...

class OpaqueDelta(_message.Message):
    __slots__ = ("block", "choice")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    block: _message_pb2.OpaqueBlock
    choice: int
    def __init__(self, block: _Optional[_Union[_message_pb2.OpaqueBlock, _Mapping]] = ..., choice: _Optional[int] = ...) -> None: ...

class ReasoningDelta(_message.Message):
    __slots__ = ("text", "signature", "extra_json", "hidden", "origin", "choice")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    EXTRA_JSON_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    text: str
    signature: bytes
    extra_json: str
    hidden: bytes
    origin: str
    choice: int
    def __init__(self, text: _Optional[str] = ..., signature: _Optional[bytes] = ..., extra_json: _Optional[str] = ..., hidden: _Optional[bytes] = ..., origin: _Optional[str] = ..., choice: _Optional[int] = ...) -> None: ...

class ToolCallDelta(_message.Message):
    __slots__ = ("index", "id", "name", "arguments_json_fragment", "extra_json", "origin", "choice", "is_custom")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_JSON_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    IS_CUSTOM_FIELD_NUMBER: _ClassVar[int]
    index: int
    id: str
    name: str
    arguments_json_fragment: str
    extra_json: str
    origin: str
    choice: int
    is_custom: bool
    def __init__(self, index: _Optional[int] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., arguments_json_fragment: _Optional[str] = ..., extra_json: _Optional[str] = ..., origin: _Optional[str] = ..., choice: _Optional[int] = ..., is_custom: bool = ...) -> None: ...

class ChoiceFinished(_message.Message):
    __slots__ = ("choice", "reason")
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    choice: int
    reason: FinishReason
    def __init__(self, choice: _Optional[int] = ..., reason: _Optional[_Union[FinishReason, str]] = ...) -> None: ...

class GenerationFinished(_message.Message):
    __slots__ = ("reason", "matched_stop", "answered_by", "attempts", "cost_nano_usd", "unit_prices", "recoveries", "stop_details", "service_tier", "stopped_by", "degraded", "unread")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MATCHED_STOP_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICES_FIELD_NUMBER: _ClassVar[int]
    RECOVERIES_FIELD_NUMBER: _ClassVar[int]
    STOP_DETAILS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    reason: FinishReason
    matched_stop: str
    answered_by: Candidate
    attempts: int
    cost_nano_usd: int
    unit_prices: UnitPrices
    recoveries: _containers.RepeatedCompositeFieldContainer[Recovery]
    stop_details: StopDetails
    service_tier: str
    stopped_by: str
    degraded: Degradation
    unread: _message_pb2.OpaqueBlock
    def __init__(self, reason: _Optional[_Union[FinishReason, str]] = ..., matched_stop: _Optional[str] = ..., answered_by: _Optional[_Union[Candidate, _Mapping]] = ..., attempts: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ..., unit_prices: _Optional[_Union[UnitPrices, _Mapping]] = ..., recoveries: _Optional[_Iterable[_Union[Recovery, _Mapping]]] = ..., stop_details: _Optional[_Union[StopDetails, _Mapping]] = ..., service_tier: _Optional[str] = ..., stopped_by: _Optional[str] = ..., degraded: _Optional[_Union[Degradation, str]] = ..., unread: _Optional[_Union[_message_pb2.OpaqueBlock, _Mapping]] = ...) -> None: ...

class StopDetails(_message.Message):
    __slots__ = ("word", "category", "explanation")
    WORD_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    word: str
    category: str
    explanation: str
    def __init__(self, word: _Optional[str] = ..., category: _Optional[str] = ..., explanation: _Optional[str] = ...) -> None: ...

class Recovery(_message.Message):
    __slots__ = ("broke", "cause", "way", "delivered_characters", "usage", "cost_nano_usd")
    class Way(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WAY_UNSPECIFIED: _ClassVar[Recovery.Way]
        WAY_CONTINUED: _ClassVar[Recovery.Way]
        WAY_REGENERATED: _ClassVar[Recovery.Way]
    WAY_UNSPECIFIED: Recovery.Way
    WAY_CONTINUED: Recovery.Way
    WAY_REGENERATED: Recovery.Way
    BROKE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    WAY_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    broke: Candidate
    cause: str
    way: Recovery.Way
    delivered_characters: int
    usage: TokenUsage
    cost_nano_usd: int
    def __init__(self, broke: _Optional[_Union[Candidate, _Mapping]] = ..., cause: _Optional[str] = ..., way: _Optional[_Union[Recovery.Way, str]] = ..., delivered_characters: _Optional[int] = ..., usage: _Optional[_Union[TokenUsage, _Mapping]] = ..., cost_nano_usd: _Optional[int] = ...) -> None: ...

class UnitPrices(_message.Message):
    __slots__ = ("input_nano_usd", "cached_input_nano_usd", "output_nano_usd", "cache_write_nano_usd", "cache_write_1h_nano_usd", "is_unknown")
    INPUT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    IS_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    input_nano_usd: int
    cached_input_nano_usd: int
    output_nano_usd: int
    cache_write_nano_usd: int
    cache_write_1h_nano_usd: int
    is_unknown: bool
    def __init__(self, input_nano_usd: _Optional[int] = ..., cached_input_nano_usd: _Optional[int] = ..., output_nano_usd: _Optional[int] = ..., cache_write_nano_usd: _Optional[int] = ..., cache_write_1h_nano_usd: _Optional[int] = ..., is_unknown: bool = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("upstream", "model")
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    model: str
    def __init__(self, upstream: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("candidates", "reason", "prices", "unsupported", "route_digest", "decision")
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    UNSUPPORTED_FIELD_NUMBER: _ClassVar[int]
    ROUTE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    reason: str
    prices: _containers.RepeatedCompositeFieldContainer[UnitPrices]
    unsupported: UnsupportedFields
    route_digest: bytes
    decision: Decision
    def __init__(self, candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., reason: _Optional[str] = ..., prices: _Optional[_Iterable[_Union[UnitPrices, _Mapping]]] = ..., unsupported: _Optional[_Union[UnsupportedFields, str]] = ..., route_digest: _Optional[bytes] = ..., decision: _Optional[_Union[Decision, _Mapping]] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("model", "by", "task", "complexity", "task_confidence", "complexity_confidence", "abstains", "by_vector", "classifier", "passed_over", "policy", "figure", "best_prices")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    COMPLEXITY_FIELD_NUMBER: _ClassVar[int]
    TASK_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    COMPLEXITY_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ABSTAINS_FIELD_NUMBER: _ClassVar[int]
    BY_VECTOR_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    PASSED_OVER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    FIGURE_FIELD_NUMBER: _ClassVar[int]
    BEST_PRICES_FIELD_NUMBER: _ClassVar[int]
    model: str
    by: str
    task: str
    complexity: str
    task_confidence: float
    complexity_confidence: float
    abstains: bool
    by_vector: bool
    classifier: str
    passed_over: _containers.RepeatedScalarFieldContainer[str]
    policy: str
    figure: str
    best_prices: UnitPrices
    def __init__(self, model: _Optional[str] = ..., by: _Optional[str] = ..., task: _Optional[str] = ..., complexity: _Optional[str] = ..., task_confidence: _Optional[float] = ..., complexity_confidence: _Optional[float] = ..., abstains: bool = ..., by_vector: bool = ..., classifier: _Optional[str] = ..., passed_over: _Optional[_Iterable[str]] = ..., policy: _Optional[str] = ..., figure: _Optional[str] = ..., best_prices: _Optional[_Union[UnitPrices, _Mapping]] = ...) -> None: ...

class RouteExplanation(_message.Message):
    __slots__ = ("plan", "refusal", "candidates")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    refusal: str
    candidates: _containers.RepeatedCompositeFieldContainer[CandidateView]
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ..., refusal: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[CandidateView, _Mapping]]] = ...) -> None: ...

class CandidateView(_message.Message):
    __slots__ = ("model", "candidate", "rank", "objection", "region", "context_window_tokens", "prices", "condition", "latency_seconds")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    OBJECTION_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    LATENCY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    candidate: Candidate
    rank: int
    objection: str
    region: str
    context_window_tokens: int
    prices: UnitPrices
    condition: str
    latency_seconds: float
    def __init__(self, model: _Optional[str] = ..., candidate: _Optional[_Union[Candidate, _Mapping]] = ..., rank: _Optional[int] = ..., objection: _Optional[str] = ..., region: _Optional[str] = ..., context_window_tokens: _Optional[int] = ..., prices: _Optional[_Union[UnitPrices, _Mapping]] = ..., condition: _Optional[str] = ..., latency_seconds: _Optional[float] = ...) -> None: ...

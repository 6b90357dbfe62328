from penstock.llm.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Policy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_UNSPECIFIED: _ClassVar[Policy]
    POLICY_BALANCED: _ClassVar[Policy]
    POLICY_COST: _ClassVar[Policy]
    POLICY_LATENCY: _ClassVar[Policy]
    POLICY_QUALITY: _ClassVar[Policy]
POLICY_UNSPECIFIED: Policy
POLICY_BALANCED: Policy
POLICY_COST: Policy
POLICY_LATENCY: Policy
POLICY_QUALITY: Policy

class RouteRequest(_message.Message):
    __slots__ = ("input", "allowed_regions", "policy", "model", "requirements", "subject", "tenant", "tags", "allowed_models", "output_tokens")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_REGIONS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    input: _generation_pb2.GenerationInput
    allowed_regions: _containers.RepeatedScalarFieldContainer[str]
    policy: Policy
    model: str
    requirements: Requirements
    subject: Subject
    tenant: str
    tags: _containers.ScalarMap[str, str]
    allowed_models: ModelNames
    output_tokens: int
    def __init__(self, input: _Optional[_Union[_generation_pb2.GenerationInput, _Mapping]] = ..., allowed_regions: _Optional[_Iterable[str]] = ..., policy: _Optional[_Union[Policy, str]] = ..., model: _Optional[str] = ..., requirements: _Optional[_Union[Requirements, _Mapping]] = ..., subject: _Optional[_Union[Subject, _Mapping]] = ..., tenant: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., allowed_models: _Optional[_Union[ModelNames, _Mapping]] = ..., output_tokens: _Optional[int] = ...) -> None: ...

class ModelNames(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Subject(_message.Message):
    __slots__ = ("text", "earlier", "turns")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    text: str
    earlier: str
    turns: int
    def __init__(self, text: _Optional[str] = ..., earlier: _Optional[str] = ..., turns: _Optional[int] = ...) -> None: ...

class Requirements(_message.Message):
    __slots__ = ("capabilities", "min_input_tokens")
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    MIN_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    min_input_tokens: int
    def __init__(self, capabilities: _Optional[_Iterable[str]] = ..., min_input_tokens: _Optional[int] = ...) -> None: ...

class RouteResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: _generation_pb2.Plan
    def __init__(self, plan: _Optional[_Union[_generation_pb2.Plan, _Mapping]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: RouteRequest
    def __init__(self, request: _Optional[_Union[RouteRequest, _Mapping]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("explanation",)
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    explanation: _generation_pb2.RouteExplanation
    def __init__(self, explanation: _Optional[_Union[_generation_pb2.RouteExplanation, _Mapping]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[PublicModel]
    def __init__(self, models: _Optional[_Iterable[_Union[PublicModel, _Mapping]]] = ...) -> None: ...

class PublicModel(_message.Message):
    __slots__ = ("name", "capabilities", "context_window_tokens", "prices")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    context_window_tokens: int
    prices: _generation_pb2.UnitPrices
    def __init__(self, name: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., context_window_tokens: _Optional[int] = ..., prices: _Optional[_Union[_generation_pb2.UnitPrices, _Mapping]] = ...) -> None: ...

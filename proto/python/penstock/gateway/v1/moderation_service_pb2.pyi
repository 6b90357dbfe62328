from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from penstock.llm.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModerateRequest(_message.Message):
    __slots__ = ("model", "contents", "context")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    model: str
    contents: _containers.RepeatedCompositeFieldContainer[ModerationContent]
    context: _generation_pb2.RequestContext
    def __init__(self, model: _Optional[str] = ..., contents: _Optional[_Iterable[_Union[ModerationContent, _Mapping]]] = ..., context: _Optional[_Union[_generation_pb2.RequestContext, _Mapping]] = ...) -> None: ...

class ModerationContent(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[ModerationPart]
    def __init__(self, parts: _Optional[_Iterable[_Union[ModerationPart, _Mapping]]] = ...) -> None: ...

class ModerationPart(_message.Message):
    __slots__ = ("text", "image_url")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    text: str
    image_url: str
    def __init__(self, text: _Optional[str] = ..., image_url: _Optional[str] = ...) -> None: ...

class ModerateResponse(_message.Message):
    __slots__ = ("moderation_id", "model", "results", "usage", "cost_nano_usd", "attempts")
    MODERATION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    moderation_id: str
    model: str
    results: _containers.RepeatedCompositeFieldContainer[ModerationVerdict]
    usage: _generation_pb2.TokenUsage
    cost_nano_usd: int
    attempts: int
    def __init__(self, moderation_id: _Optional[str] = ..., model: _Optional[str] = ..., results: _Optional[_Iterable[_Union[ModerationVerdict, _Mapping]]] = ..., usage: _Optional[_Union[_generation_pb2.TokenUsage, _Mapping]] = ..., cost_nano_usd: _Optional[int] = ..., attempts: _Optional[int] = ...) -> None: ...

class ModerationVerdict(_message.Message):
    __slots__ = ("flagged", "categories")
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    flagged: bool
    categories: _containers.RepeatedCompositeFieldContainer[ModerationCategory]
    def __init__(self, flagged: bool = ..., categories: _Optional[_Iterable[_Union[ModerationCategory, _Mapping]]] = ...) -> None: ...

class ModerationCategory(_message.Message):
    __slots__ = ("name", "flagged", "score", "input_types")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPES_FIELD_NUMBER: _ClassVar[int]
    name: str
    flagged: bool
    score: float
    input_types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., flagged: bool = ..., score: _Optional[float] = ..., input_types: _Optional[_Iterable[str]] = ...) -> None: ...

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from penstock.llm.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UpstreamBatchState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UPSTREAM_BATCH_STATE_UNSPECIFIED: _ClassVar[UpstreamBatchState]
    UPSTREAM_BATCH_STATE_OPEN: _ClassVar[UpstreamBatchState]
    UPSTREAM_BATCH_STATE_ENDED: _ClassVar[UpstreamBatchState]
    UPSTREAM_BATCH_STATE_REFUSED: _ClassVar[UpstreamBatchState]
UPSTREAM_BATCH_STATE_UNSPECIFIED: UpstreamBatchState
UPSTREAM_BATCH_STATE_OPEN: UpstreamBatchState
UPSTREAM_BATCH_STATE_ENDED: UpstreamBatchState
UPSTREAM_BATCH_STATE_REFUSED: UpstreamBatchState

class BeginUpstreamBatchRequest(_message.Message):
    __slots__ = ("candidate", "name", "lines", "maybe_begun_since", "unsupported")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    MAYBE_BEGUN_SINCE_FIELD_NUMBER: _ClassVar[int]
    UNSUPPORTED_FIELD_NUMBER: _ClassVar[int]
    candidate: _generation_pb2.Candidate
    name: str
    lines: _containers.RepeatedCompositeFieldContainer[UpstreamBatchLine]
    maybe_begun_since: _timestamp_pb2.Timestamp
    unsupported: _generation_pb2.UnsupportedFields
    def __init__(self, candidate: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ..., name: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[UpstreamBatchLine, _Mapping]]] = ..., maybe_begun_since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., unsupported: _Optional[_Union[_generation_pb2.UnsupportedFields, str]] = ...) -> None: ...

class UpstreamBatchLine(_message.Message):
    __slots__ = ("id", "input")
    ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    id: str
    input: _generation_pb2.GenerationInput
    def __init__(self, id: _Optional[str] = ..., input: _Optional[_Union[_generation_pb2.GenerationInput, _Mapping]] = ...) -> None: ...

class BeginUpstreamBatchResponse(_message.Message):
    __slots__ = ("batch", "refused_lines")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    REFUSED_LINES_FIELD_NUMBER: _ClassVar[int]
    batch: UpstreamBatch
    refused_lines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, batch: _Optional[_Union[UpstreamBatch, _Mapping]] = ..., refused_lines: _Optional[_Iterable[str]] = ...) -> None: ...

class UpstreamBatch(_message.Message):
    __slots__ = ("id", "state", "answered", "failed", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: UpstreamBatchState
    answered: int
    failed: int
    reason: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[UpstreamBatchState, str]] = ..., answered: _Optional[int] = ..., failed: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class GetUpstreamBatchRequest(_message.Message):
    __slots__ = ("candidate", "id")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    candidate: _generation_pb2.Candidate
    id: str
    def __init__(self, candidate: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetUpstreamBatchResponse(_message.Message):
    __slots__ = ("batch",)
    BATCH_FIELD_NUMBER: _ClassVar[int]
    batch: UpstreamBatch
    def __init__(self, batch: _Optional[_Union[UpstreamBatch, _Mapping]] = ...) -> None: ...

class CancelUpstreamBatchRequest(_message.Message):
    __slots__ = ("candidate", "id")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    candidate: _generation_pb2.Candidate
    id: str
    def __init__(self, candidate: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class CancelUpstreamBatchResponse(_message.Message):
    __slots__ = ("batch",)
    BATCH_FIELD_NUMBER: _ClassVar[int]
    batch: UpstreamBatch
    def __init__(self, batch: _Optional[_Union[UpstreamBatch, _Mapping]] = ...) -> None: ...

class ReadUpstreamBatchRequest(_message.Message):
    __slots__ = ("candidate", "id")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    candidate: _generation_pb2.Candidate
    id: str
    def __init__(self, candidate: _Optional[_Union[_generation_pb2.Candidate, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class ReadUpstreamBatchResponse(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[UpstreamBatchAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[UpstreamBatchAnswer, _Mapping]]] = ...) -> None: ...

class UpstreamBatchAnswer(_message.Message):
    __slots__ = ("line", "kept")
    LINE_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    line: str
    kept: KeptAnswer
    def __init__(self, line: _Optional[str] = ..., kept: _Optional[_Union[KeptAnswer, _Mapping]] = ...) -> None: ...

class KeptAnswer(_message.Message):
    __slots__ = ("status", "body")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status: int
    body: bytes
    def __init__(self, status: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...

from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Feedback(_message.Message):
    __slots__ = ("id", "tenant", "generation_id", "thumb", "score", "correction", "reason", "comment", "user", "key_id", "tags", "created_at", "model", "upstream", "upstream_model", "task", "prompt", "disputed_entry")
    class Thumb(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        THUMB_UNSPECIFIED: _ClassVar[Feedback.Thumb]
        THUMB_UP: _ClassVar[Feedback.Thumb]
        THUMB_DOWN: _ClassVar[Feedback.Thumb]
    THUMB_UNSPECIFIED: Feedback.Thumb
    THUMB_UP: Feedback.Thumb
    THUMB_DOWN: Feedback.Thumb
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Feedback.Reason]
        REASON_WRONG: _ClassVar[Feedback.Reason]
        REASON_INCOMPLETE: _ClassVar[Feedback.Reason]
        REASON_IRRELEVANT: _ClassVar[Feedback.Reason]
        REASON_UNSAFE: _ClassVar[Feedback.Reason]
        REASON_TOO_SLOW: _ClassVar[Feedback.Reason]
        REASON_STYLE: _ClassVar[Feedback.Reason]
        REASON_REFUSED: _ClassVar[Feedback.Reason]
        REASON_OTHER: _ClassVar[Feedback.Reason]
    REASON_UNSPECIFIED: Feedback.Reason
    REASON_WRONG: Feedback.Reason
    REASON_INCOMPLETE: Feedback.Reason
    REASON_IRRELEVANT: Feedback.Reason
    REASON_UNSAFE: Feedback.Reason
    REASON_TOO_SLOW: Feedback.Reason
    REASON_STYLE: Feedback.Reason
    REASON_REFUSED: Feedback.Reason
    REASON_OTHER: Feedback.Reason
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    THUMB_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_MODEL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    DISPUTED_ENTRY_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    generation_id: str
    thumb: Feedback.Thumb
    score: float
    correction: str
    reason: Feedback.Reason
    comment: str
    user: str
    key_id: str
    tags: _containers.ScalarMap[str, str]
    created_at: _timestamp_pb2.Timestamp
    model: str
    upstream: str
    upstream_model: str
    task: str
    prompt: str
    disputed_entry: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., generation_id: _Optional[str] = ..., thumb: _Optional[_Union[Feedback.Thumb, str]] = ..., score: _Optional[float] = ..., correction: _Optional[str] = ..., reason: _Optional[_Union[Feedback.Reason, str]] = ..., comment: _Optional[str] = ..., user: _Optional[str] = ..., key_id: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., upstream: _Optional[str] = ..., upstream_model: _Optional[str] = ..., task: _Optional[str] = ..., prompt: _Optional[str] = ..., disputed_entry: _Optional[str] = ...) -> None: ...

class GiveFeedbackRequest(_message.Message):
    __slots__ = ("generation_id", "thumb", "score", "correction", "reason", "comment", "user", "tags", "idempotency_key", "tenant")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    THUMB_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    generation_id: str
    thumb: Feedback.Thumb
    score: float
    correction: str
    reason: Feedback.Reason
    comment: str
    user: str
    tags: _containers.ScalarMap[str, str]
    idempotency_key: str
    tenant: str
    def __init__(self, generation_id: _Optional[str] = ..., thumb: _Optional[_Union[Feedback.Thumb, str]] = ..., score: _Optional[float] = ..., correction: _Optional[str] = ..., reason: _Optional[_Union[Feedback.Reason, str]] = ..., comment: _Optional[str] = ..., user: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., idempotency_key: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GiveFeedbackResponse(_message.Message):
    __slots__ = ("feedback",)
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    feedback: Feedback
    def __init__(self, feedback: _Optional[_Union[Feedback, _Mapping]] = ...) -> None: ...

class ListFeedbackRequest(_message.Message):
    __slots__ = ("tenant", "generation_id", "model", "user", "thumb", "with_content", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    THUMB_FIELD_NUMBER: _ClassVar[int]
    WITH_CONTENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    generation_id: str
    model: str
    user: str
    thumb: Feedback.Thumb
    with_content: bool
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., generation_id: _Optional[str] = ..., model: _Optional[str] = ..., user: _Optional[str] = ..., thumb: _Optional[_Union[Feedback.Thumb, str]] = ..., with_content: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListFeedbackResponse(_message.Message):
    __slots__ = ("feedback", "next_page_token")
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    feedback: _containers.RepeatedCompositeFieldContainer[Feedback]
    next_page_token: str
    def __init__(self, feedback: _Optional[_Iterable[_Union[Feedback, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SummarizeFeedbackRequest(_message.Message):
    __slots__ = ("tenant", "by", "model", "since", "until")
    class Dimension(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIMENSION_UNSPECIFIED: _ClassVar[SummarizeFeedbackRequest.Dimension]
        DIMENSION_MODEL: _ClassVar[SummarizeFeedbackRequest.Dimension]
        DIMENSION_UPSTREAM: _ClassVar[SummarizeFeedbackRequest.Dimension]
        DIMENSION_TASK: _ClassVar[SummarizeFeedbackRequest.Dimension]
        DIMENSION_PROMPT: _ClassVar[SummarizeFeedbackRequest.Dimension]
        DIMENSION_DAY: _ClassVar[SummarizeFeedbackRequest.Dimension]
    DIMENSION_UNSPECIFIED: SummarizeFeedbackRequest.Dimension
    DIMENSION_MODEL: SummarizeFeedbackRequest.Dimension
    DIMENSION_UPSTREAM: SummarizeFeedbackRequest.Dimension
    DIMENSION_TASK: SummarizeFeedbackRequest.Dimension
    DIMENSION_PROMPT: SummarizeFeedbackRequest.Dimension
    DIMENSION_DAY: SummarizeFeedbackRequest.Dimension
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    by: _containers.RepeatedScalarFieldContainer[SummarizeFeedbackRequest.Dimension]
    model: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, tenant: _Optional[str] = ..., by: _Optional[_Iterable[_Union[SummarizeFeedbackRequest.Dimension, str]]] = ..., model: _Optional[str] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SummarizeFeedbackResponse(_message.Message):
    __slots__ = ("summaries", "is_cut")
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    IS_CUT_FIELD_NUMBER: _ClassVar[int]
    summaries: _containers.RepeatedCompositeFieldContainer[FeedbackSummary]
    is_cut: bool
    def __init__(self, summaries: _Optional[_Iterable[_Union[FeedbackSummary, _Mapping]]] = ..., is_cut: bool = ...) -> None: ...

class FeedbackSummary(_message.Message):
    __slots__ = ("model", "upstream", "upstream_model", "task", "prompt", "day", "judgements", "thumbs_up", "thumbs_down", "up_ratio", "scored", "mean_score", "corrections", "reasons")
    class ReasonsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_MODEL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    JUDGEMENTS_FIELD_NUMBER: _ClassVar[int]
    THUMBS_UP_FIELD_NUMBER: _ClassVar[int]
    THUMBS_DOWN_FIELD_NUMBER: _ClassVar[int]
    UP_RATIO_FIELD_NUMBER: _ClassVar[int]
    SCORED_FIELD_NUMBER: _ClassVar[int]
    MEAN_SCORE_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    upstream: str
    upstream_model: str
    task: str
    prompt: str
    day: str
    judgements: int
    thumbs_up: int
    thumbs_down: int
    up_ratio: FeedbackShare
    scored: int
    mean_score: FeedbackShare
    corrections: int
    reasons: _containers.ScalarMap[str, int]
    def __init__(self, model: _Optional[str] = ..., upstream: _Optional[str] = ..., upstream_model: _Optional[str] = ..., task: _Optional[str] = ..., prompt: _Optional[str] = ..., day: _Optional[str] = ..., judgements: _Optional[int] = ..., thumbs_up: _Optional[int] = ..., thumbs_down: _Optional[int] = ..., up_ratio: _Optional[_Union[FeedbackShare, _Mapping]] = ..., scored: _Optional[int] = ..., mean_score: _Optional[_Union[FeedbackShare, _Mapping]] = ..., corrections: _Optional[int] = ..., reasons: _Optional[_Mapping[str, int]] = ...) -> None: ...

class FeedbackShare(_message.Message):
    __slots__ = ("value", "low", "high")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class DeleteFeedbackRequest(_message.Message):
    __slots__ = ("tenant", "user", "generation_id", "everything")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    user: str
    generation_id: str
    everything: bool
    def __init__(self, tenant: _Optional[str] = ..., user: _Optional[str] = ..., generation_id: _Optional[str] = ..., everything: bool = ...) -> None: ...

class DeleteFeedbackResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_STATE_UNSPECIFIED: _ClassVar[ReviewState]
    REVIEW_STATE_OPEN: _ClassVar[ReviewState]
    REVIEW_STATE_CLAIMED: _ClassVar[ReviewState]
    REVIEW_STATE_DECIDED: _ClassVar[ReviewState]

class ReviewDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_DECISION_UNSPECIFIED: _ClassVar[ReviewDecision]
    REVIEW_DECISION_ALLOW: _ClassVar[ReviewDecision]
    REVIEW_DECISION_BLOCK: _ClassVar[ReviewDecision]
    REVIEW_DECISION_EDIT: _ClassVar[ReviewDecision]

class ReviewSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_SOURCE_UNSPECIFIED: _ClassVar[ReviewSource]
    REVIEW_SOURCE_RULE: _ClassVar[ReviewSource]
    REVIEW_SOURCE_FEEDBACK: _ClassVar[ReviewSource]
    REVIEW_SOURCE_DISPUTE: _ClassVar[ReviewSource]
    REVIEW_SOURCE_CALLER: _ClassVar[ReviewSource]

class ReviewSurface(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_SURFACE_UNSPECIFIED: _ClassVar[ReviewSurface]
    REVIEW_SURFACE_INPUT: _ClassVar[ReviewSurface]
    REVIEW_SURFACE_TOOL_RESULT: _ClassVar[ReviewSurface]
    REVIEW_SURFACE_DOCUMENT: _ClassVar[ReviewSurface]
    REVIEW_SURFACE_OUTPUT: _ClassVar[ReviewSurface]
    REVIEW_SURFACE_TOOL_CALL: _ClassVar[ReviewSurface]
REVIEW_STATE_UNSPECIFIED: ReviewState
REVIEW_STATE_OPEN: ReviewState
REVIEW_STATE_CLAIMED: ReviewState
REVIEW_STATE_DECIDED: ReviewState
REVIEW_DECISION_UNSPECIFIED: ReviewDecision
REVIEW_DECISION_ALLOW: ReviewDecision
REVIEW_DECISION_BLOCK: ReviewDecision
REVIEW_DECISION_EDIT: ReviewDecision
REVIEW_SOURCE_UNSPECIFIED: ReviewSource
REVIEW_SOURCE_RULE: ReviewSource
REVIEW_SOURCE_FEEDBACK: ReviewSource
REVIEW_SOURCE_DISPUTE: ReviewSource
REVIEW_SOURCE_CALLER: ReviewSource
REVIEW_SURFACE_UNSPECIFIED: ReviewSurface
REVIEW_SURFACE_INPUT: ReviewSurface
REVIEW_SURFACE_TOOL_RESULT: ReviewSurface
REVIEW_SURFACE_DOCUMENT: ReviewSurface
REVIEW_SURFACE_OUTPUT: ReviewSurface
REVIEW_SURFACE_TOOL_CALL: ReviewSurface

class ReviewFinding(_message.Message):
    __slots__ = ("kind", "start", "end")
    KIND_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    kind: str
    start: int
    end: int
    def __init__(self, kind: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class Review(_message.Message):
    __slots__ = ("id", "tenant", "state", "source", "surface", "rule", "rule_version", "model", "key_id", "user", "request_id", "generation_id", "kinds", "held", "times", "escalated", "reviewer", "claim", "claimed_until", "created_at", "due_at", "expires_at", "decision", "decided_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    RULE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    ESCALATED_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    state: ReviewState
    source: ReviewSource
    surface: ReviewSurface
    rule: str
    rule_version: str
    model: str
    key_id: str
    user: str
    request_id: str
    generation_id: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    held: bool
    times: int
    escalated: bool
    reviewer: str
    claim: int
    claimed_until: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    decision: ReviewDecision
    decided_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., state: _Optional[_Union[ReviewState, str]] = ..., source: _Optional[_Union[ReviewSource, str]] = ..., surface: _Optional[_Union[ReviewSurface, str]] = ..., rule: _Optional[str] = ..., rule_version: _Optional[str] = ..., model: _Optional[str] = ..., key_id: _Optional[str] = ..., user: _Optional[str] = ..., request_id: _Optional[str] = ..., generation_id: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ..., held: bool = ..., times: _Optional[int] = ..., escalated: bool = ..., reviewer: _Optional[str] = ..., claim: _Optional[int] = ..., claimed_until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., decision: _Optional[_Union[ReviewDecision, str]] = ..., decided_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReviewContent(_message.Message):
    __slots__ = ("text", "context", "found", "edited", "notes")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    text: str
    context: str
    found: _containers.RepeatedCompositeFieldContainer[ReviewFinding]
    edited: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, text: _Optional[str] = ..., context: _Optional[str] = ..., found: _Optional[_Iterable[_Union[ReviewFinding, _Mapping]]] = ..., edited: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class OpenReviewRequest(_message.Message):
    __slots__ = ("text", "context", "surface", "model", "user", "generation_id", "hold", "tenant")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    text: str
    context: str
    surface: ReviewSurface
    model: str
    user: str
    generation_id: str
    hold: bool
    tenant: str
    def __init__(self, text: _Optional[str] = ..., context: _Optional[str] = ..., surface: _Optional[_Union[ReviewSurface, str]] = ..., model: _Optional[str] = ..., user: _Optional[str] = ..., generation_id: _Optional[str] = ..., hold: bool = ..., tenant: _Optional[str] = ...) -> None: ...

class OpenReviewResponse(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: Review
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ...) -> None: ...

class ListReviewsRequest(_message.Message):
    __slots__ = ("tenant", "states", "source", "rule", "overdue", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    OVERDUE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    states: _containers.RepeatedScalarFieldContainer[ReviewState]
    source: ReviewSource
    rule: str
    overdue: bool
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., states: _Optional[_Iterable[_Union[ReviewState, str]]] = ..., source: _Optional[_Union[ReviewSource, str]] = ..., rule: _Optional[str] = ..., overdue: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReviewsResponse(_message.Message):
    __slots__ = ("reviews", "next_page_token")
    REVIEWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reviews: _containers.RepeatedCompositeFieldContainer[Review]
    next_page_token: str
    def __init__(self, reviews: _Optional[_Iterable[_Union[Review, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetReviewRequest(_message.Message):
    __slots__ = ("id", "tenant", "with_content")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    WITH_CONTENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    with_content: bool
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., with_content: bool = ...) -> None: ...

class GetReviewResponse(_message.Message):
    __slots__ = ("review", "content")
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    review: Review
    content: ReviewContent
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ..., content: _Optional[_Union[ReviewContent, _Mapping]] = ...) -> None: ...

class GetReviewOutcomeRequest(_message.Message):
    __slots__ = ("id", "tenant")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GetReviewOutcomeResponse(_message.Message):
    __slots__ = ("id", "state", "decision", "text", "due_at", "decided_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: ReviewState
    decision: ReviewDecision
    text: str
    due_at: _timestamp_pb2.Timestamp
    decided_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[ReviewState, str]] = ..., decision: _Optional[_Union[ReviewDecision, str]] = ..., text: _Optional[str] = ..., due_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., decided_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ClaimReviewRequest(_message.Message):
    __slots__ = ("id", "tenant", "lease")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    lease: _duration_pb2.Duration
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., lease: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClaimReviewResponse(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: Review
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ...) -> None: ...

class ClaimNextReviewRequest(_message.Message):
    __slots__ = ("tenant", "source", "rule", "lease")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    source: ReviewSource
    rule: str
    lease: _duration_pb2.Duration
    def __init__(self, tenant: _Optional[str] = ..., source: _Optional[_Union[ReviewSource, str]] = ..., rule: _Optional[str] = ..., lease: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClaimNextReviewResponse(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: Review
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ...) -> None: ...

class DecideReviewRequest(_message.Message):
    __slots__ = ("id", "tenant", "claim", "decision", "edited", "note")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    claim: int
    decision: ReviewDecision
    edited: str
    note: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., claim: _Optional[int] = ..., decision: _Optional[_Union[ReviewDecision, str]] = ..., edited: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class DecideReviewResponse(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: Review
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ...) -> None: ...

class ReleaseReviewRequest(_message.Message):
    __slots__ = ("id", "tenant", "claim", "note")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    claim: int
    note: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., claim: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class ReleaseReviewResponse(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: Review
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ...) -> None: ...

class EscalateReviewRequest(_message.Message):
    __slots__ = ("id", "tenant", "claim", "note")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    claim: int
    note: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., claim: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class EscalateReviewResponse(_message.Message):
    __slots__ = ("review",)
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    review: Review
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ...) -> None: ...

class ExportReviewsRequest(_message.Message):
    __slots__ = ("tenant", "rule", "source", "since", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    rule: str
    source: ReviewSource
    since: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., rule: _Optional[str] = ..., source: _Optional[_Union[ReviewSource, str]] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ExportedReview(_message.Message):
    __slots__ = ("review", "content")
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    review: Review
    content: ReviewContent
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ..., content: _Optional[_Union[ReviewContent, _Mapping]] = ...) -> None: ...

class ExportReviewsResponse(_message.Message):
    __slots__ = ("reviews", "next_page_token")
    REVIEWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reviews: _containers.RepeatedCompositeFieldContainer[ExportedReview]
    next_page_token: str
    def __init__(self, reviews: _Optional[_Iterable[_Union[ExportedReview, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

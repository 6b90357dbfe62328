"""What people made of answers as it is shown, and what may be asked of it."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Protocol

import msgspec


class Thumb(Enum):
    """Up or down."""

    UP = "up"
    DOWN = "down"


class Reason(Enum):
    """What was wrong with an answer, or right."""

    WRONG = "wrong"
    INCOMPLETE = "incomplete"
    IRRELEVANT = "irrelevant"
    UNSAFE = "unsafe"
    TOO_SLOW = "too_slow"
    STYLE = "style"
    REFUSED = "refused"
    OTHER = "other"


class Dimension(Enum):
    """What a line of a summary is about."""

    MODEL = "model"
    UPSTREAM = "upstream"
    TASK = "task"
    PROMPT = "prompt"
    DAY = "day"


class FeedbackGiven(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of an answer."""

    tenant: str
    answer_id: str
    thumb: Thumb | None = None
    score: float | None = None
    correction: str = ""
    reason: Reason | None = None
    comment: str = ""
    user: str = ""
    tags: dict[str, str] = {}


class FeedbackRow(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said of an answer; without content, correction and comment are empty."""

    id: str
    created_at: datetime
    tenant: str
    generation_id: str
    model: str
    upstream: str
    upstream_model: str
    task: str
    prompt: str
    thumb: str
    score: float | None
    correction: str
    reason: str
    comment: str
    user: str
    key_id: str
    tags: dict[str, str]
    disputed_entry: str


class FeedbackFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which feedback is meant: all that fits every field that is set, or ``everything`` where none is."""

    tenant: str = ""
    answer_id: str = ""
    model: str = ""
    user: str = ""
    thumb: Thumb | None = None
    everything: bool = False


class FeedbackPage(msgspec.Struct, frozen=True):
    """Feedback, the newest first; ``next_token`` is empty on the last page."""

    rows: tuple[FeedbackRow, ...]
    next_token: str = ""


class SummaryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is summed up, and by what."""

    tenant: str = ""
    model: str = ""
    by: tuple[Dimension, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class Figure(msgspec.Struct, frozen=True):
    """A figure between 0 and 1 with its bounds of 95 %."""

    value: float
    low: float
    high: float


class FeedbackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of the answers of a group, each author's last word of each."""

    model: str
    upstream: str
    upstream_model: str
    task: str
    prompt: str
    day: str
    judgements: int
    thumbs_up: int
    thumbs_down: int
    up_ratio: Figure | None
    scored: int
    mean_score: Figure | None
    corrections: int
    reasons: dict[str, int]


class FeedbackSummaries(msgspec.Struct, frozen=True):
    """Lines, those with the most judgements first; ``is_cut`` where there are more."""

    lines: tuple[FeedbackSummary, ...]
    is_cut: bool


class FeedbackRows(Protocol):
    """Keeps feedback. What it refuses is a ``SuiteFailure``; what cannot be meant, ``Misconfigured``."""

    async def give_feedback(self, given: FeedbackGiven) -> FeedbackRow:
        """Return what was kept."""
        ...

    async def feedback_page(self, wanted: FeedbackFilter, size: int, token: str, *, with_content: bool) -> FeedbackPage:
        """Return a page of at most ``size``."""
        ...

    async def summarize_feedback(self, wanted: SummaryRequest) -> FeedbackSummaries:
        """Return a line for each group."""
        ...

    async def delete_feedback(self, wanted: FeedbackFilter) -> int:
        """Return how much was erased."""
        ...

"""Reviews as people see them, and what may be asked of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import msgspec

STATES = ("open", "claimed", "decided")
SOURCES = ("rule", "feedback", "dispute", "caller")
SURFACES = ("input", "tool_result", "document", "output", "tool_call")
DECISIONS = ("allow", "block", "edit")


class FoundRow(msgspec.Struct, frozen=True):
    """A part of a text, and what it is taken to be; code points."""

    kind: str
    start: int
    end: int


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """An item without what it holds."""

    id: str
    tenant: str
    state: str
    source: str
    surface: str
    rule: str
    rule_version: str
    model: str
    key_id: str
    user: str
    request_id: str
    generation_id: str
    kinds: tuple[str, ...]
    held: bool
    times: int
    escalated: bool
    reviewer: str
    claim: int
    claimed_until: datetime | None
    created_at: datetime | None
    due_at: datetime | None
    expires_at: datetime | None
    decision: str
    decided_at: datetime | None


class ReviewContentRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an item holds."""

    text: str
    context: str
    found: tuple[FoundRow, ...]
    edited: str
    notes: tuple[str, ...]


class SeenReview(msgspec.Struct, frozen=True):
    """An item, and what it holds, where that was asked for and is kept."""

    review: ReviewRow
    content: ReviewContentRow | None


class ReviewOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever asked hears."""

    id: str
    state: str
    decision: str
    text: str
    due_at: datetime | None
    decided_at: datetime | None


class ReviewOpening(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be judged."""

    tenant: str
    text: str
    context: str
    surface: str
    model: str
    hold: bool


class ReviewListing(msgspec.Struct, frozen=True, kw_only=True):
    """Which items are listed; nothing: those that are not decided, from any source, of any rule."""

    tenant: str
    states: tuple[str, ...] = ()
    source: str = ""
    rule: str = ""
    overdue: bool = False


class ReviewClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Which item is claimed, the next one without an id, and for how long."""

    tenant: str
    id: str = ""
    source: str = ""
    rule: str = ""
    lease: timedelta | None = None


class ReviewRuling(msgspec.Struct, frozen=True, kw_only=True):
    """What a claimed item comes to; an empty decision where it is given to others."""

    tenant: str
    id: str
    claim: int
    decision: str = ""
    edited: str = ""
    note: str = ""


class Reviews(Protocol):
    """Reviews, as reviewers and operators have them. What it refuses is a ``SuiteFailure``."""

    async def open_review(self, wanted: ReviewOpening) -> ReviewRow:
        """Return the new item."""
        ...

    async def reviews(self, wanted: ReviewListing, most: int) -> list[ReviewRow]:
        """Return items."""
        ...

    async def review(self, tenant: str, review_id: str, *, with_content: bool) -> SeenReview:
        """Return an item."""
        ...

    async def review_outcome(self, tenant: str, review_id: str) -> ReviewOutcome:
        """Return what came of an item."""
        ...

    async def claim_review(self, wanted: ReviewClaim) -> ReviewRow:
        """Return the item that is the asker's now."""
        ...

    async def decide_review(self, ruling: ReviewRuling) -> ReviewRow:
        """Return the decided item."""
        ...

    async def release_review(self, ruling: ReviewRuling) -> ReviewRow:
        """Return the item that is nobody's now."""
        ...

    async def escalate_review(self, ruling: ReviewRuling) -> ReviewRow:
        """Return the item that waits for others."""
        ...

    async def decided_reviews(self, wanted: ReviewListing, since: datetime | None) -> list[SeenReview]:
        """Return decided items and what they hold, the oldest decision first."""
        ...

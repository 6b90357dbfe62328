"""An item of the queue: something that was flagged, and how it stands."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from enum import StrEnum

import msgspec

from penstock_gateway.domain.reviews.flag import Found, Source, Surface

ID_PREFIX = "rev_"
EXPIRY = "expiry"
"""Who decided where nobody did in time."""
_RANDOM_BYTES = 10
_MOMENT_DIGITS = 12
_ID = re.compile(rf"{ID_PREFIX}[0-9a-f]{{{_MOMENT_DIGITS + 2 * _RANDOM_BYTES}}}")


class ReviewState(StrEnum):
    """How an item stands."""

    OPEN = "open"
    """Nobody is at it."""
    CLAIMED = "claimed"
    DECIDED = "decided"


class Decision(StrEnum):
    """What was decided of a text."""

    ALLOW = "allow"
    BLOCK = "block"
    EDIT = "edit"
    """Another one takes its place."""


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item without what it holds.

    ``claim`` grows with each claim, and is what a reviewer shows to be believed. ``times``: how often the same text was
    flagged by the same rule. ``reviewer`` is who is at it, or has decided. ``expires_at``: when it is decided by itself.
    """

    id: str
    tenant: str
    key_id: str
    source: Source
    surface: Surface
    created_at: datetime
    due_at: datetime
    expires_at: datetime | None = None
    user: str = ""
    user_id: str = ""
    rule: str = ""
    rule_version: str = ""
    public_model: str = ""
    request_id: str = ""
    generation_id: str = ""
    kinds: tuple[str, ...] = ()
    held: bool = False
    times: int = 1
    state: ReviewState = ReviewState.OPEN
    escalated: bool = False
    reviewer: str = ""
    claim: int = 0
    claimed_until: datetime | None = None
    decision: Decision | None = None
    decided_at: datetime | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What an item holds: the text, what it stood beside, and what reviewers made of it."""

    text: str
    context: str = ""
    found: tuple[Found, ...] = ()
    edited: str = ""
    notes: tuple[str, ...] = ()


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, the text that takes the other's place, and why."""

    decision: Decision
    edited: str = ""
    note: str = ""


def new_review_id(now: datetime) -> str:
    """Return an id that nobody can guess; ids sort by the time when they were made."""
    moment = int(now.timestamp() * 1000)
    return f"{ID_PREFIX}{moment:0{_MOMENT_DIGITS}x}{secrets.token_hex(_RANDOM_BYTES)}"


def may_be_review(review_id: str) -> bool:
    """Return whether there may be an item of this id; others are not looked for."""
    return _ID.fullmatch(review_id) is not None

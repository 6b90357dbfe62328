"""Where items are kept: what flags, reviewers and the clock need of it.

Each method is one transaction of one database: what was flagged is there, an
item is one reviewer's at a time, and the word to webhooks is kept with what it
tells of. Each raises ``ServiceUnavailable`` where the database does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from penstock_gateway.domain.reviews.flag import Source
from penstock_gateway.domain.reviews.item import Content, ReviewItem, ReviewState, Ruling
from penstock_gateway.domain.webhooks.delivery import Delivery

Tell = Callable[[ReviewItem, str, datetime], Sequence[Delivery]]
"""Returns the messages of a type that tell of an item; they are kept in the transaction that changes it."""


class Outcome(StrEnum):
    """What became of a flag."""

    OPENED = "opened"
    GROUPED = "grouped"
    """The same was flagged before, and is not decided."""
    FULL = "full"
    """The tenant, or the key, has as many undecided items as it may."""


class Added(NamedTuple):
    """The item that a flag became; ``id`` is empty where the queue is full."""

    id: str
    outcome: Outcome


class Room(NamedTuple):
    """Undecided items of one tenant, and of one key, at most."""

    tenant: int
    key: int


class ReviewFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which items are listed: those of all that is said. Empty ``tenant``: of all, for operators."""

    tenant: str = ""
    states: frozenset[ReviewState] = frozenset({ReviewState.OPEN, ReviewState.CLAIMED})
    source: Source | None = None
    rule: str = ""
    is_overdue: bool = False
    decided_since: datetime | None = None


class Claimant(msgspec.Struct, frozen=True, kw_only=True):
    """Who claims, until when. Requests of ``key_ids`` and ``user_id`` are its own, and not its to judge."""

    reviewer: str
    until: datetime
    key_ids: tuple[str, ...]
    user_id: str = ""
    takes_escalated: bool = False


class Held(NamedTuple):
    """What a reviewer says to hold: an item, by the number of the claim."""

    tenant: str
    id: str
    claim: int
    reviewer: str = ""


class Standing(NamedTuple):
    """How the undecided items stand, of all tenants."""

    fresh: int
    due_soon: int
    overdue: int
    oldest: datetime | None


class Expiry(msgspec.Struct, frozen=True):
    """What becomes of an item that nobody has decided: a ruling; None: it is escalated, once."""

    ruling: Ruling | None


class ReviewStore(Protocol):
    """Items. What is of another tenant is as what does not exist; an empty tenant is any."""

    async def add(self, item: ReviewItem, content: Content, room: Room) -> Added:
        """Keep a new item; or count one that holds the same and is not decided, unless the item is held."""
        ...

    async def get(self, tenant: str, review_id: str, now: datetime) -> ReviewItem | None:
        """Return an item."""
        ...

    async def content(self, item: ReviewItem) -> Content | None:
        """Return what an item holds; None where that is kept no longer."""
        ...

    async def list(self, wanted: ReviewFilter, now: datetime, after: str, limit: int) -> Sequence[ReviewItem]:
        """Return items after the one of an id: the oldest first, or the newest where decided ones are among them."""
        ...

    async def decided(
        self, wanted: ReviewFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[ReviewItem]:
        """Return decided items, the oldest decision first, after one of that time and id."""
        ...

    async def claim(self, tenant: str, review_id: str, by: Claimant, now: datetime) -> ReviewItem | None:
        """Make an item the claimant's, for longer where it is already; None where it is another's, or decided."""
        ...

    async def claim_next(self, wanted: ReviewFilter, by: Claimant, now: datetime) -> ReviewItem | None:
        """Make the claimant's what is due first of what is nobody's; None where there is nothing."""
        ...

    async def decide(self, held: Held, ruling: Ruling, now: datetime) -> ReviewItem | None:
        """End an item, with the word to webhooks; None where the claim is over: then nothing has happened."""
        ...

    async def release(self, held: Held, note: str, now: datetime) -> ReviewItem | None:
        """Give an item back; None where the claim is over."""
        ...

    async def escalate(self, held: Held, note: str, now: datetime) -> ReviewItem | None:
        """Give an item to those who take escalated ones, with the word to webhooks; None where the claim is over."""
        ...

    async def expire(self, expiry: Expiry, now: datetime, limit: int) -> Sequence[ReviewItem]:
        """Do what is to be done of those whose time is over and that nobody is at; return them."""
        ...

    async def forget(self, contents_before: datetime, items_before: datetime, limit: int) -> int:
        """Delete what decided items hold, and the items, where they were decided before then; return how many rows went."""
        ...

    async def standing(self, now: datetime, soon: timedelta) -> Standing:
        """Return how the undecided items stand; ``soon``: how long before its time an item is due soon."""
        ...

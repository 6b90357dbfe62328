"""What feedback needs: the answers that were given, a store of its own, and the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from penstock_common.contract.cache import Dispute
from penstock_common.llm.types import Candidate
from penstock_gateway.domain.feedback.judgement import Feedback, Judged, Thumb
from penstock_gateway.domain.feedback.summary import Dimension, Summary


class Answers(Protocol):
    """The answers that were given, as the ledger knows them."""

    async def find(self, tenant: str, answer_id: str) -> Judged | None:
        """Return a tenant's answer by its generation id, or the latest of a request id; those not yet written, too."""
        ...


class Disputed(Protocol):
    """The cache, as far as an answer can be wrong."""

    async def dispute(self, dispute: Dispute) -> bool:
        """Remove an entry that was wrong; return whether there was one. Raises ``ServiceUnavailable``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which feedback is meant: all that fits what is set. ``tenant`` is None for every one."""

    tenant: str | None
    generation_id: str = ""
    models: frozenset[str] = frozenset()
    """Public models; empty means all."""
    user: str = ""
    thumb: Thumb | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What people of a tenant said on a day of one candidate's answers to a task: how often, and the sum of its values."""

    tenant: str
    candidate: Candidate
    task: str
    day: date
    count: int
    total: float


class FeedbackStore(Protocol):
    """Feedback, which is added, read and erased, and never changed; each raises ``ServiceUnavailable`` if it does not answer."""

    async def add(self, given: Feedback, /) -> Feedback | None:
        """Return it with its id; None if its key has used its idempotency key before."""
        ...

    async def sent_before(self, key_id: str, tenant: str, idempotency_key: str) -> Feedback | None:
        """Return what a key has sent under an idempotency key."""
        ...

    async def latest_of(self, judged: Judged, author: str) -> Feedback | None:
        """Return what an author said last of an answer."""
        ...

    async def has_disputed(self, tenant: str, author: str, entry_id: str) -> bool:
        """Return whether an author has led to a dispute of an entry."""
        ...

    async def count_of_key(self, key_id: str, tenant: str, since: datetime) -> int:
        """Return how much feedback a key has given since then."""
        ...

    async def count_of_answer(self, judged: Judged) -> int:
        """Return how much feedback there is of an answer."""
        ...

    async def list(self, wanted: Wanted, before: int | None, limit: int) -> list[Feedback]:
        """Return feedback, the newest first, of before an id."""
        ...

    async def summarize(self, wanted: Wanted, by: Sequence[Dimension], limit: int) -> list[Summary]:
        """Return a line for each group of what each author said last of each answer, those with the most first."""
        ...

    async def delete(self, wanted: Wanted) -> int:
        """Erase feedback; return how much."""
        ...

    async def newest_id(self) -> int:
        """Return the id of what was added last; 0 where there is none."""
        ...

    async def tallies(self, since: date) -> list[Tally]:
        """Return what was said since a day of answers that a model gave to their own wording, each author's last word."""
        ...

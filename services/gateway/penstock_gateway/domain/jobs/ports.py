"""Where jobs are kept: what callers, workers and operators need of it.

All of it is one database's, and each method one transaction: what was
accepted is there, and what was committed was committed once. The queue is SQL
(docs/adr: why); nothing of it is anywhere else.

Each method raises ``ServiceUnavailable`` where the database does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

from penstock_common.priority import Priority
from penstock_gateway.domain.jobs.events import JobEvent, NumberedEvent
from penstock_gateway.domain.jobs.job import Accepted, Claimed, Job, JobEnd, JobError, JobKind, JobState, NewJob
from penstock_gateway.domain.jobs.lanes import Turns
from penstock_gateway.domain.webhooks.delivery import Delivery

Tell = Callable[[Job, datetime], Sequence[Delivery]]
"""Returns the messages that tell of a job's end; they are kept in the transaction that ends it."""


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs are listed: those of all that is said. Empty ``tenant``: of all, for operators."""

    tenant: str = ""
    states: frozenset[JobState] = frozenset()
    kinds: frozenset[JobKind] = frozenset()
    key_id: str = ""
    owner: str = ""
    """What rotation keeps of the key that submitted them."""
    target: str = ""
    ids: frozenset[str] = frozenset()
    """Empty: whatever they are."""
    batch: str | None = None
    """None: whether they are of one or not. Empty: of none."""
    before: str = ""
    """The id of the last one of the page before; the newest come first."""


class Depth(NamedTuple):
    """How many jobs of a priority stand so, and since when the first of those that are due is."""

    priority: Priority
    state: JobState
    jobs: int
    due_since: datetime | None


class Held(NamedTuple):
    """What a worker says that it holds."""

    id: str
    epoch: int


class Beat(NamedTuple):
    """What a worker hears of what it holds: what is not its any more, and what is to end."""

    lost: frozenset[Held]
    cancelled: frozenset[Held]


class Worker(NamedTuple):
    """Who runs jobs: when it was heard of, how many it is at, and how many it can be at."""

    name: str
    heard_at: datetime
    running: int
    places: int


class Workers(Protocol):
    """Who runs jobs, as each says of itself."""

    async def heard(self, worker: Worker) -> None:
        """Note that a worker lives."""
        ...

    async def left(self, name: str) -> None:
        """Forget a worker, which ends."""
        ...

    async def heard_since(self, moment: datetime) -> Sequence[Worker]:
        """Return those that were heard of from then on."""
        ...


class Requeued(msgspec.Struct, frozen=True, kw_only=True):
    """When a job is due again, and why. ``counts``: whether that was one of its attempts."""

    due_at: datetime
    error: JobError
    counts: bool = True


class JobStore(Protocol):
    """Jobs as callers and operators have them. What is of another tenant is as what does not exist."""

    async def accept(self, jobs: Sequence[NewJob], most_queued: int = 0) -> Sequence[Accepted]:
        """Keep new jobs, all of them or none; one whose mark is taken is returned as it stands, and not kept.

        Raises:
            RateLimited: if a tenant would have more than ``most_queued`` that wait; 0: no bound.
        """
        ...

    async def get(self, tenant: str, job_id: str) -> Job | None:
        """Return a job; any tenant's where ``tenant`` is empty."""
        ...

    async def marked(self, idempotency: str) -> Accepted | None:
        """Return the job that was accepted under a mark."""
        ...

    async def unmark(self, job_id: str) -> None:
        """Free the mark that a job was accepted under, whose answer is nobody's any more."""
        ...

    async def list(self, wanted: JobFilter, limit: int) -> Sequence[Job]:
        """Return jobs, the newest first."""
        ...

    async def count(self, wanted: JobFilter) -> int:
        """Return how many jobs are so."""
        ...

    async def order(self, job: Job) -> bytes | None:
        """Return what a job asks; None once that is gone."""
        ...

    async def result(self, job: Job) -> bytes | None:
        """Return what came of a job; None where there is nothing, or nothing any more."""
        ...

    async def events(self, job: Job, after: int, limit: int) -> Sequence[NumberedEvent]:
        """Return what happened to a job after the event of that number."""
        ...

    async def cancel(self, tenant: str, job_id: str, now: datetime) -> Job | None:
        """End a job that waits, ask one that runs to end, and leave one that has ended; return how it stands now."""
        ...

    async def delete(self, tenant: str, job_id: str) -> bool:
        """Forget a job that has ended, with all that belongs to it; False where there is none such."""
        ...

    async def redrive(self, wanted: JobFilter, now: datetime, deadline: timedelta, limit: int) -> int:
        """Have failed and dead jobs begin anew, with all attempts before them; return how many, ``limit`` at most."""
        ...

    async def depths(self, tenant: str = "") -> Sequence[Depth]:
        """Return how many wait and run; of all tenants where ``tenant`` is empty."""
        ...


class JobTargets(Protocol):
    """What jobs are for."""

    async def targets(self, tenant: str) -> frozenset[str]:
        """Return for what a tenant's jobs wait, or have begun in the last day; those of all where ``tenant`` is empty."""
        ...


class JobQueue(Protocol):
    """Jobs as workers have them. A worker is believed while its job's epoch is the one that it shows."""

    async def claim(
        self, worker: str, turns: Turns, places: Mapping[Priority, int], now: datetime, until: datetime
    ) -> Sequence[Claimed]:
        """Take those that are due, as ``turns`` says; each is nobody else's until then."""
        ...

    async def beat(self, held: Collection[Held], until: datetime) -> Beat:
        """Hold them for longer; return what is lost, and what is to end."""
        ...

    async def append(
        self,
        held: Held,
        events: Sequence[JobEvent],
        now: datetime,
        *,
        after: int | None = None,
        progress: tuple[int, int] | None = None,
    ) -> int | None:
        """Add to what watchers are told, and note how far it is; return the last one's number, None where the job is lost.

        They come ``after`` the event of that number; where they are there already, they are not added again. None: after
        whatever there is.
        """
        ...

    async def commit(
        self,
        held: Held,
        end: JobEnd,
        now: datetime,
        told: Sequence[JobEvent] = (),
        *,
        progress: tuple[int, int] | None = None,
    ) -> bool:
        """End a job, with what happened before its end, how far it came, its result and the word for its webhook.

        Return False where the job is lost: then nothing has happened.
        """
        ...

    async def put_back(self, held: Held, again: Requeued, now: datetime, told: Sequence[JobEvent] = ()) -> bool:
        """Have a job wait again, with what happened before; False where it is lost."""
        ...

    async def reclaim(self, now: datetime, retry_at: datetime, limit: int) -> Sequence[Job]:
        """Take jobs from workers whose leases ran out: those with attempts left wait until ``retry_at``, the others are dead.

        Return them as they stand now.
        """
        ...

    async def expire(self, now: datetime, limit: int) -> Sequence[Job]:
        """End those that wait and whose deadline passed; return them."""
        ...

    async def forget(self, now: datetime, ended_before: datetime, limit: int) -> int:
        """Delete results that have expired, and jobs that ended before then; return how many rows went."""
        ...

    async def forget_lanes(self, idle_since: datetime, limit: int) -> int:
        """Delete what is known of the order of tenants and targets none of whose jobs wait, or began since; return how many."""
        ...

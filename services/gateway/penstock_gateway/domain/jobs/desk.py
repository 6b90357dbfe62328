"""Where callers and operators ask for jobs: what is not theirs is as what does not exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import NamedTuple

import msgspec

from penstock_common.errors import InvalidRequest, RateLimited, ResourceNotFound, ResourceState
from penstock_gateway.domain.access.identity import Caller, KeyScope
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.bounds import named_tenant, required_tenant
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.jobs.bell import Bell, Listening
from penstock_gateway.domain.jobs.events import Ended, NumberedEvent
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState, may_be_job
from penstock_gateway.domain.jobs.ports import Depth, JobFilter, JobStore, Workers
from penstock_gateway.domain.life.settlement import OK

MAX_REDRIVEN, USUAL_REDRIVEN = 10_000, 1_000
"""Jobs in one call."""
KEEP_ALIVE = timedelta(seconds=15)
"""Of silence; then a watcher is told how the job stands."""
_KIND = "job"
_EVENTS_AT_ONCE = 200
# In one transaction: on SQLite nobody else writes meanwhile.
_REDRIVEN_AT_ONCE = 200
WATCHED_JOBS = "watched_jobs"
_RETRY_AFTER = timedelta(seconds=5)
_SEE_ALL = frozenset({KeyScope.READ, KeyScope.ADMIN, KeyScope.OPERATOR})


class Viewer(msgspec.Struct, frozen=True):
    """Who asks: the jobs of their own key, and of those before its rotation, are theirs, or their tenant's, or anybody's."""

    actor: Actor
    counted_key_id: str
    sees_tenant: bool

    @classmethod
    def of(cls, actor: Actor, caller: Caller) -> Viewer:
        """Return a caller as one who looks at jobs."""
        return cls(actor, caller.counted_key_id, sees_tenant=not _SEE_ALL.isdisjoint(caller.scopes))

    @property
    def owner(self) -> str:
        """Whose jobs alone it sees; empty for all of the tenant's."""
        return "" if self.sees_tenant else self.counted_key_id


class Seen(NamedTuple):
    """What a watcher is told: an event, or none where nothing happens; and the job as it stands, where that is read."""

    event: NumberedEvent | None
    job: Job | None


class Redrive(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs are to begin anew: one by its id, or all that are so."""

    tenant: str = ""
    job_id: str = ""
    target: str = ""
    states: frozenset[JobState] = frozenset({JobState.DEAD})
    limit: int = USUAL_REDRIVEN
    is_dry_run: bool = False


class DeskParts(NamedTuple):
    """Where jobs are kept, what rings for them, and who runs them."""

    store: JobStore
    bell: Bell
    workers: Workers


class DeskTerms(msgspec.Struct, frozen=True, kw_only=True):
    """``poll``: how often a watcher looks where nothing rings. ``deadline``: of a job that begins anew.

    ``lease``: how long a worker that is not heard of any more is taken to be there. ``watchers``: jobs that one key watches
    at once, of each process; each is looked for again and again.
    """

    poll: timedelta = timedelta(seconds=1)
    deadline: timedelta = timedelta(hours=24)
    lease: timedelta = timedelta(seconds=30)
    watchers: int = 100


class JobDesk:
    """Shows jobs, and changes what may be changed of them."""

    def __init__(self, parts: DeskParts, registry: Registry, terms: DeskTerms, now: Now = utc_now) -> None:
        self._store = parts.store
        self._bell = parts.bell
        self._workers = parts.workers
        self._audit = AuditLog(registry, now)
        self._terms = terms
        self._now = now
        self._watchers = Counter[str]()

    async def get(self, viewer: Viewer, tenant: str, job_id: str) -> Job:
        """Return a job.

        Raises:
            ResourceNotFound: if there is none of this id, or it is not the viewer's.
        """
        meant = named_tenant(viewer.actor.meant(tenant))
        job = await self._store.get(meant, job_id) if may_be_job(job_id) else None
        if job is None or viewer.owner not in ("", job.owned_by):
            raise no_job(job_id)
        return job

    async def list(self, viewer: Viewer, wanted: JobFilter, page: Page) -> Listing[Job]:
        """Return a page of jobs, the newest first: of every tenant for an operator who names none."""
        meant = named_tenant(viewer.actor.meant(wanted.tenant))
        wanted = msgspec.structs.replace(wanted, tenant=meant, owner=viewer.owner, before=page.after)
        found = await self._store.list(wanted, page.size + 1)
        return listing([*found], page, lambda job: job.id)

    async def result(self, viewer: Viewer, tenant: str, job_id: str) -> tuple[Job, bytes]:
        """Return a job that succeeded, and what came of it.

        Raises:
            ResourceState: if it has no result: not yet, or never.
            ResourceNotFound: as ``get``; or the result has expired.
        """
        job = await self.get(viewer, tenant, job_id)
        if job.state is not JobState.SUCCEEDED:
            raise _without_result(job)
        has_expired = job.result_expires_at is not None and job.result_expires_at < self._now()
        result = None if has_expired else await self._store.result(job)
        if result is None:
            raise ResourceNotFound("The job's result has expired.", kind="job result", name=job.id)
        return job, result

    async def watch(self, viewer: Viewer, tenant: str, job_id: str, after: int) -> AsyncGenerator[Seen]:
        """Yield what happened to a job after the event of a number, and what happens until it ends.

        Raises:
            InvalidRequest: if it has no event of that number.
            ResourceNotFound: as ``get``.
            RateLimited: if the viewer's key watches as many as it may.
        """
        job = await self.get(viewer, tenant, job_id)
        if after > job.last_event:
            text = f"after_event is {after}, and the newest event of the job has the number {job.last_event}."
            raise InvalidRequest(text, field="after_event")
        with self._watching(viewer.counted_key_id):
            listening = self._bell.listen(job_id)
            try:
                async for seen in self._following(job, after, listening):
                    yield seen
            finally:
                listening.close()

    async def cancel(self, viewer: Viewer, tenant: str, job_id: str) -> Job:
        """Return a job that has ended, or is to; one that had ended before is as it was.

        Raises:
            ResourceState: if it is a batch's.
            ResourceNotFound: as ``get``.
        """
        job = await self.get(viewer, tenant, job_id)
        _check_by_itself(job)
        cancelled = await self._store.cancel(job.tenant, job_id, self._now())
        if cancelled is None:
            raise no_job(job_id)
        self._bell.ring_cancel(job_id)
        await self._note_of_others(viewer, "job.cancel", job)
        return cancelled

    async def delete(self, viewer: Viewer, tenant: str, job_id: str) -> None:
        """Forget a job.

        Raises:
            ResourceState: if it has not ended, or is a batch's.
            ResourceNotFound: as ``get``.
        """
        job = await self.get(viewer, tenant, job_id)
        _check_by_itself(job)
        if not await self._store.delete(job.tenant, job_id):
            raise ResourceState("The job has not ended: cancel it first.", kind=_KIND, name=job_id)
        await self._note_of_others(viewer, "job.delete", job)

    async def redrive(self, actor: Actor, asked: Redrive) -> int:
        """Have jobs begin anew; return how many did, or would, ``limit`` at most.

        Raises:
            ResourceNotFound: if one is named that does not exist.
            ResourceState: if that one is neither dead nor failed.
            InvalidRequest: if the limit is too large, or other states are named.
        """
        if not 0 < asked.limit <= MAX_REDRIVEN:
            raise InvalidRequest(f"limit must be 1 to {MAX_REDRIVEN}.", field="limit")
        if asked.states - {JobState.DEAD, JobState.FAILED}:
            raise InvalidRequest("Only dead and failed jobs can be redriven.", field="states")
        owner = required_tenant(actor.meant(asked.tenant))
        wanted = JobFilter(
            tenant=owner, states=asked.states, target=asked.target, ids=frozenset(filter(None, (asked.job_id,)))
        )
        if asked.job_id:
            wanted = msgspec.structs.replace(wanted, states=await self._redrivable(owner, asked.job_id))
        if asked.is_dry_run:
            return min(asked.limit, await self._store.count(wanted))
        redriven = await self._redriven(wanted, asked.limit)
        details = {"target": asked.target, "redriven": str(redriven)}
        await self._audit.note(Deed(actor, "job.redrive", owner, asked.job_id, details), OK)
        return redriven

    async def workers(self) -> int:
        """Return how many processes run jobs and were heard of within their lease."""
        return len(await self._workers.heard_since(self._now() - self._terms.lease))

    async def depths(self, viewer: Viewer, tenant: str) -> Sequence[Depth]:
        """Return how many wait and run in the viewer's tenant; in all, for an operator who names none."""
        return await self._store.depths(named_tenant(viewer.actor.meant(tenant)))

    async def _redriven(self, wanted: JobFilter, limit: int) -> int:
        """Have jobs begin anew, a part of them at once: who writes meanwhile waits for no more than that part."""
        redriven = 0
        while redriven < limit:
            at_once = min(_REDRIVEN_AT_ONCE, limit - redriven)
            more = await self._store.redrive(wanted, self._now(), self._terms.deadline, at_once)
            redriven += more
            self._bell.ring_queue()
            if more < at_once:
                break
        return redriven

    async def _redrivable(self, owner: str, job_id: str) -> frozenset[JobState]:
        job = await self._store.get(owner, job_id) if may_be_job(job_id) else None
        if job is None:
            raise no_job(job_id)
        if job.state not in (JobState.DEAD, JobState.FAILED):
            raise ResourceState(f"The job is {job.state.value}, neither dead nor failed.", kind=_KIND, name=job_id)
        return frozenset({job.state})

    @contextmanager
    def _watching(self, key_id: str) -> Generator[None]:
        if self._watchers[key_id] >= self._terms.watchers:
            text = f"Your key watches {self._terms.watchers} jobs, which is all that it may at once. Ask for others with GetJob."
            raise RateLimited(text, limit=WATCHED_JOBS, retry_after=_RETRY_AFTER)
        self._watchers[key_id] += 1
        try:
            yield
        finally:
            self._watchers[key_id] -= 1
            if not self._watchers[key_id]:
                del self._watchers[key_id]

    async def _following(self, job: Job, after: int, listening: Listening) -> AsyncGenerator[Seen]:
        spoken_at, is_first = monotonic(), True
        while True:
            # Before its events: what is told of one that has ended is then all there is.
            fresh = await self._fresh(job)
            events = await self._store.events(job, after, _EVENTS_AT_ONCE)
            for event in events:
                after = event.number
                is_end = isinstance(event.event, Ended)
                if is_end:
                    fresh = await self._fresh(job)
                is_last = is_end and after == fresh.last_event
                yield Seen(event, fresh if is_first or is_last else None)
                is_first, spoken_at = False, monotonic()
                if is_last:
                    return
            if fresh.state.is_end and not events:
                # Its events are gone, or all of them were seen.
                yield Seen(None, fresh)
                return
            if events:
                continue
            if is_first or monotonic() - spoken_at >= KEEP_ALIVE.total_seconds():
                yield Seen(None, fresh)
                is_first, spoken_at = False, monotonic()
            await listening.heard(self._terms.poll.total_seconds())

    async def _fresh(self, job: Job) -> Job:
        fresh = await self._store.get(job.tenant, job.id)
        if fresh is None:
            raise no_job(job.id)
        return fresh

    async def _note_of_others(self, viewer: Viewer, action: str, job: Job) -> None:
        """Note what somebody does to a job that another key has submitted."""
        if viewer.counted_key_id != job.owned_by:
            await self._audit.note(Deed(viewer.actor, action, job.tenant, job.id), OK)


def no_job(job_id: str) -> ResourceNotFound:
    """Return the error of a job that is not there, or not the asker's."""
    return ResourceNotFound(f"There is no job '{job_id[:64]}'.", kind=_KIND, name=job_id[:64])


def _check_by_itself(job: Job) -> None:
    if job.batch or job.kind is JobKind.BATCH:
        text = "The job is a batch's, and does what that does: cancel the batch."
        raise ResourceState(text, kind=_KIND, name=job.id)


def _without_result(job: Job) -> ResourceState:
    if not job.state.is_end:
        return ResourceState(f"The job is {job.state.value}: watch it, or ask again.", kind=_KIND, name=job.id)
    why = f" {job.error.reason}: {job.error.message}" if job.error is not None else ""
    return ResourceState(f"The job is {job.state.value} and has no result.{why}", kind=_KIND, name=job.id)

"""Jobs as callers and operators have them, in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.errors import RateLimited
from penstock_common.priority import Priority
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.ending import anew, end_one, requeue
from penstock_gateway.adapters.sql.jobs.lanes import add_lanes, once
from penstock_gateway.adapters.sql.jobs.rows import (
    ORDER,
    RESULT,
    job_of,
    moment_of,
    ms_of,
    numbered,
    place_of,
    values_of,
)
from penstock_gateway.adapters.sql.jobs.tables import contents, events, jobs, lanes
from penstock_gateway.domain.jobs.events import NumberedEvent
from penstock_gateway.domain.jobs.job import Accepted, Job, JobEnd, JobKind, JobState, NewJob
from penstock_gateway.domain.jobs.lanes import LaneName
from penstock_gateway.domain.jobs.ports import Depth, JobFilter

_JOB = jobs.c
QUEUED_JOBS = "queued_jobs"
_RETRY_AFTER = timedelta(seconds=30)
_REDRIVEN = (JobState.FAILED.value, JobState.DEAD.value)


class SqlJobStore:
    """Implements ``JobStore``, and ``JobTargets``."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    async def accept(self, jobs: Sequence[NewJob], most_queued: int = 0) -> Sequence[Accepted]:
        """Keep new jobs; see the port."""
        while True:
            taken = {one.idempotency: known for one in jobs if (known := await self.marked(one.idempotency))}
            fresh = [one for one in jobs if one.idempotency not in taken]
            try:
                await self._keep(fresh, most_queued)
            except IntegrityError:
                # Somebody has the mark since; or it is of two of these.
                if len({one.idempotency for one in fresh if one.idempotency}) == sum(
                    bool(one.idempotency) for one in fresh
                ):
                    continue
                raise
            return [taken.get(one.idempotency) or Accepted(one.job, is_new=True) for one in jobs]

    async def marked(self, idempotency: str) -> Accepted | None:
        """Return the job that was accepted under a mark; see the port."""
        if not idempotency:
            return None
        async with self._database.reading() as connection:
            row = (await connection.execute(select(jobs).where(_JOB.idempotency == idempotency))).first()
        return None if row is None else Accepted(job_of(row), is_new=False, fingerprint=row.fingerprint)

    async def unmark(self, job_id: str) -> None:
        """Free a job's mark; see the port."""
        async with self._database.writing() as connection:
            await connection.execute(update(jobs).where(_JOB.id == job_id).values(idempotency=None))

    async def get(self, tenant: str, job_id: str) -> Job | None:
        """Return a job; see the port."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(jobs).where(*_one(tenant, job_id)))).first()
        return None if row is None else job_of(row)

    async def list(self, wanted: JobFilter, limit: int) -> Sequence[Job]:
        """Return jobs, the newest first; see the port."""
        async with self._database.reading() as connection:
            # Ids are of digits and a to f, which every language orders as their bytes are.
            query = select(jobs).where(*_all(wanted)).order_by(_JOB.id.desc()).limit(limit)
            return [job_of(row) for row in (await connection.execute(query)).all()]

    async def count(self, wanted: JobFilter) -> int:
        """Return how many jobs are so; see the port."""
        counted = select(func.count()).select_from(jobs).where(*_all(wanted))
        async with self._database.reading() as connection:
            return (await connection.execute(counted)).scalar() or 0

    async def order(self, job: Job) -> bytes | None:
        """Return what a job asks; see the port."""
        return await self._content(job, ORDER)

    async def result(self, job: Job) -> bytes | None:
        """Return what came of a job; see the port."""
        return await self._content(job, RESULT)

    async def events(self, job: Job, after: int, limit: int) -> Sequence[NumberedEvent]:
        """Return what happened to a job; see the port."""
        of_job = events.c.job == job.id, events.c.number > after
        query = select(events).where(*of_job).order_by(events.c.number).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        opened = self._database.sealer.open
        return numbered(
            [(row.number, row.at_ms, opened(job.tenant, place_of(job.id, row.number), row.sealed)) for row in rows]
        )

    async def cancel(self, tenant: str, job_id: str, now: datetime) -> Job | None:
        """End a job, or ask it to end; see the port."""
        which = _one(tenant, job_id)
        cancelled = JobEnd(state=JobState.CANCELLED)
        async with self._database.writing() as connection:
            # First: from here on nobody else changes it.
            live = (*which, _JOB.state.in_((JobState.QUEUED.value, JobState.RUNNING.value)))
            await connection.execute(update(jobs).where(*live).values(cancels=True))
            waits = (*which, _JOB.state == JobState.QUEUED.value)
            ended = await end_one(connection, self._database, waits, cancelled, now)
            if ended is not None:
                return ended
            row = (await connection.execute(select(jobs).where(*which))).first()
        return None if row is None else job_of(row)

    async def delete(self, tenant: str, job_id: str) -> bool:
        """Forget a job that has ended; see the port."""
        has_ended = _JOB.state.not_in((JobState.QUEUED.value, JobState.RUNNING.value))
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(jobs).where(*_one(tenant, job_id), has_ended))
            if gone.rowcount == 0:
                return False
            await connection.execute(delete(contents).where(contents.c.job == job_id))
            await connection.execute(delete(events).where(events.c.job == job_id))
        return True

    async def redrive(self, wanted: JobFilter, now: datetime, deadline: timedelta, limit: int) -> int:
        """Have jobs begin anew; see the port."""
        async with self._database.writing() as connection:
            # What is a batch's does what the batch does.
            by_itself = _JOB.batch == "", _JOB.kind != JobKind.BATCH.value
            conditions = (*_all(wanted), _JOB.state.in_(_REDRIVEN), *by_itself)
            first = select(_JOB.id).where(*conditions).order_by(_JOB.id).limit(limit).with_for_update(skip_locked=True)
            values = anew(now, ms_of(now + deadline))
            which = (_JOB.id.in_(once(first)),)
            return len(await requeue(connection, self._database, which, values, at=now))

    async def depths(self, tenant: str = "") -> Sequence[Depth]:
        """Return how many wait and run; see the port."""
        # Not IN: each of the two has an index of its own.
        is_live = or_(_JOB.state == JobState.QUEUED.value, _JOB.state == JobState.RUNNING.value)
        live: list[ColumnElement[bool]] = [is_live, _JOB.unlisted.is_(False)]
        if tenant:
            live.append(_JOB.tenant == tenant)
        counted = select(_JOB.priority, _JOB.state, func.count(), func.min(_JOB.due_ms)).where(*live)
        async with self._database.reading() as connection:
            rows = (await connection.execute(counted.group_by(_JOB.priority, _JOB.state))).all()
        return [Depth(Priority(row[0]), JobState(row[1]), row[2], moment_of(row[3])) for row in rows]

    async def targets(self, tenant: str) -> frozenset[str]:
        """Return what jobs are for; see the port."""
        query = select(lanes.c.target).distinct()
        if tenant:
            query = query.where(lanes.c.tenant == tenant)
        async with self._database.reading() as connection:
            return frozenset((await connection.execute(query)).scalars().all())

    async def _keep(self, fresh: Sequence[NewJob], most_queued: int) -> None:
        if not fresh:
            return
        seal = self._database.sealer.seal
        orders = [
            {
                "job": one.job.id,
                "part": ORDER,
                "sealed": seal(one.job.tenant, place_of(one.job.id, ORDER), one.order),
            }
            for one in fresh
        ]
        async with self._database.writing() as connection:
            if most_queued:
                await _check_room(connection, fresh, most_queued)
            await connection.execute(insert(jobs), [values_of(one) for one in fresh])
            await connection.execute(insert(contents), orders)
            queued = {_lane_of(one.job) for one in fresh if one.job.state is JobState.QUEUED}
            if queued:
                await add_lanes(connection, self._database, queued)

    async def _content(self, job: Job, part: str) -> bytes | None:
        query = select(contents.c.sealed).where(contents.c.job == job.id, contents.c.part == part)
        async with self._database.reading() as connection:
            sealed = (await connection.execute(query)).scalar()
        return None if sealed is None else self._database.sealer.open(job.tenant, place_of(job.id, part), sealed)


async def _check_room(connection: AsyncConnection, fresh: Sequence[NewJob], most_queued: int) -> None:
    waits = [one.job.tenant for one in fresh if one.job.state is JobState.QUEUED]
    for tenant, more in Counter(waits).items():
        waiting = select(func.count()).where(_JOB.tenant == tenant, _JOB.state == JobState.QUEUED.value)
        count = (await connection.execute(waiting)).scalar() or 0
        if count + more > most_queued:
            text = (
                f"Your tenant has {count} jobs that wait, of {most_queued} at most. Submit more when some have ended."
            )
            raise RateLimited(text, limit=QUEUED_JOBS, retry_after=_RETRY_AFTER)


def _lane_of(job: Job) -> LaneName:
    return LaneName(job.tenant, job.priority, job.target)


def _one(tenant: str, job_id: str) -> tuple[ColumnElement[bool], ...]:
    return (_JOB.id == job_id, _JOB.tenant == tenant) if tenant else (_JOB.id == job_id,)


def _all(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_JOB.unlisted.is_(False)]
    if wanted.tenant:
        conditions.append(_JOB.tenant == wanted.tenant)
    if wanted.states:
        conditions.append(_JOB.state.in_(sorted(state.value for state in wanted.states)))
    if wanted.kinds:
        conditions.append(_JOB.kind.in_(sorted(kind.value for kind in wanted.kinds)))
    if wanted.key_id:
        conditions.append(_JOB.key_id == wanted.key_id)
    if wanted.owner:
        conditions.append(_JOB.owner == wanted.owner)
    if wanted.target:
        conditions.append(_JOB.target == wanted.target)
    if wanted.ids:
        conditions.append(_JOB.id.in_(sorted(wanted.ids)))
    if wanted.batch is not None:
        conditions.append(_JOB.batch == wanted.batch)
    if wanted.before:
        conditions.append(_JOB.id < wanted.before)
    return conditions

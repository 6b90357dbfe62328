"""The queue: what workers do with jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, delete, select, update

from penstock_common.priority import Priority
from penstock_common.secrecy import Unreadable
from penstock_gateway.adapters.sql.gathering import Gathering
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.ending import end_one, requeue
from penstock_gateway.adapters.sql.jobs.lanes import due_lanes, forget_lanes, once, running_jobs, take
from penstock_gateway.adapters.sql.jobs.rows import ORDER, error_values, job_of, ms_of, place_of
from penstock_gateway.adapters.sql.jobs.tables import contents, events, jobs
from penstock_gateway.adapters.sql.jobs.writing import Said, any_of, end_those, write_all
from penstock_gateway.domain.jobs.events import JobEvent, PutBack
from penstock_gateway.domain.jobs.job import WORKER_LOST, Claimed, Job, JobEnd, JobError, JobState
from penstock_gateway.domain.jobs.lanes import LaneName, Turns, Waiting
from penstock_gateway.domain.jobs.ports import Beat, Held, Requeued

_JOB = jobs.c
_log = structlog.get_logger(__name__)
_LOST = JobError(WORKER_LOST, "The worker that was at it is gone.")
_GONE = JobError("RESOURCE_NOT_FOUND", "What it asks is kept no longer.")
_LATE = JobError("DEADLINE_EXCEEDED", "The job's deadline passed before it was done.")


class SqlJobQueue:
    """Implements ``JobQueue``."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database
        self._said: Gathering[Said, int | None] = Gathering(self._write, lambda said: said.weight)

    async def claim(
        self, worker: str, turns: Turns, places: Mapping[Priority, int], now: datetime, until: datetime
    ) -> Sequence[Claimed]:
        """Take those that are due; see the port."""
        if not await self._database.look(partial(_has_turn, places, now)):
            # Nearly always: who finds nothing has not had others wait for the writer.
            return []
        values = {"worker": worker, "leased_until_ms": ms_of(until), "started_ms": ms_of(now)}

        def taken(connection: Connection) -> tuple[Sequence[LaneName], Sequence[Any], dict[str, bytes]]:
            self._database.claim_alone(connection)
            waiting = Waiting(due_lanes(connection, now), running_jobs(connection), now)
            allotted = turns.allot(waiting, places)
            rows = [row for lane, count in Counter(allotted).items() for row in take(connection, lane, count, values)]
            asked = _orders(connection, [row.id for row in rows])
            gone = [Held(row.id, row.epoch) for row in rows if row.id not in asked]
            if gone:
                end_those(connection, self._database, (any_of(gone),), JobEnd(state=JobState.FAILED, error=_GONE), now)
            return allotted, rows, asked

        allotted, rows, asked = await self._database.at_once(taken)
        claimed = [one for row in rows if (one := self._opened(row, asked.get(row.id))) is not None]
        # In the order of their turns, as far as there were as many as the lanes promised.
        turn = {lane: at for at, lane in reversed(list(enumerate(allotted)))}
        return sorted(claimed, key=lambda one: turn[LaneName(one.job.tenant, one.job.priority, one.job.target)])

    def _opened(self, row: Any, sealed: bytes | None) -> Claimed | None:
        """Return a job that was taken; None where nobody can read what it asks: its lease runs out, again and again."""
        if sealed is None:
            return None
        try:
            return Claimed(job_of(row), self._database.sealer.open(row.tenant, place_of(row.id, ORDER), sealed))
        except (Unreadable, ValueError) as error:
            _log.error("job_cannot_be_read", job=row.id, reason=str(error))
            return None

    async def beat(self, held: Collection[Held], until: datetime) -> Beat:
        """Hold them for longer; see the port."""
        if not held:
            return Beat(frozenset(), frozenset())
        longer = update(jobs).where(any_of(held)).values(leased_until_ms=ms_of(until))
        # In the order of all who write of several, so that no two wait for each other.
        first = select(_JOB.id).where(any_of(held)).order_by(_JOB.id).with_for_update()

        def heard(connection: Connection) -> Sequence[Any]:
            if self._database.is_shared:
                connection.execute(first)
            return connection.execute(longer.returning(_JOB.id, _JOB.epoch, _JOB.cancels)).all()

        rows = await self._database.at_once(heard)
        still = {Held(row.id, row.epoch) for row in rows}
        return Beat(frozenset(held) - still, frozenset(Held(row.id, row.epoch) for row in rows if row.cancels))

    async def append(
        self,
        held: Held,
        events: Sequence[JobEvent],
        now: datetime,
        *,
        after: int | None = None,
        progress: tuple[int, int] | None = None,
    ) -> int | None:
        """Add to what watchers are told; see the port."""
        said = Said(held=held, told=events, now=now, after=after, progress=progress)
        return await self._said.put(said)

    async def commit(
        self,
        held: Held,
        end: JobEnd,
        now: datetime,
        told: Sequence[JobEvent] = (),
        *,
        progress: tuple[int, int] | None = None,
    ) -> bool:
        """End a job; see the port."""
        said = Said(held=held, told=told, now=now, progress=progress, end=end)
        return await self._said.put(said) is not None

    async def _write(self, said: Sequence[Said]) -> Sequence[int | None]:
        return await self._database.at_once(lambda connection: write_all(connection, self._database, said))

    async def put_back(self, held: Held, again: Requeued, now: datetime, told: Sequence[JobEvent] = ()) -> bool:
        """Have a job wait again; see the port."""
        values: dict[str, Any] = {"due_ms": ms_of(again.due_at), **error_values(again.error)}
        if not again.counts:
            values["attempts"] = _JOB.attempts - 1
        which, back = _held(held), PutBack(again.due_at, again.error)
        async with self._database.writing() as connection:
            waits = (*which, _JOB.cancels.is_(False))
            if await requeue(connection, self._database, waits, values, (*told, back), at=now):
                return True
            # Who was asked to end does not wait again.
            cancelled = JobEnd(state=JobState.CANCELLED)
            said = Said(held=held, told=told, now=now, end=cancelled)
            return (await connection.run_sync(write_all, self._database, [said]))[0] is not None

    async def reclaim(self, now: datetime, retry_at: datetime, limit: int) -> Sequence[Job]:
        """Take jobs from workers whose leases ran out; see the port."""
        late = select(jobs).where(_JOB.state == JobState.RUNNING.value, _JOB.leased_until_ms < ms_of(now))
        async with self._database.writing() as connection:
            rows = (await connection.execute(late.limit(limit).with_for_update(skip_locked=True))).all()
            ended: list[Job | None] = []
            waiting: list[Held] = []
            for row in rows:
                held = Held(row.id, row.epoch)
                if not row.cancels and row.attempts < row.max_attempts:
                    waiting.append(held)
                    continue
                end = JobEnd(state=JobState.CANCELLED) if row.cancels else JobEnd(state=JobState.DEAD, error=_LOST)
                ended.append(await end_one(connection, self._database, _held(held), end, now))
            if waiting:
                values = {"due_ms": ms_of(retry_at), **error_values(_LOST)}
                told = (PutBack(retry_at, _LOST),)
                ended += await requeue(connection, self._database, (any_of(waiting),), values, told, at=now)
        return [job for job in ended if job is not None]

    async def expire(self, now: datetime, limit: int) -> Sequence[Job]:
        """End those whose deadline passed; see the port."""
        late = select(_JOB.id).where(_JOB.state == JobState.QUEUED.value, _JOB.deadline_ms < ms_of(now)).limit(limit)
        end, ended = JobEnd(state=JobState.EXPIRED, error=_LATE), list[Job | None]()
        async with self._database.writing() as connection:
            for job_id in (await connection.execute(late.with_for_update(skip_locked=True))).scalars().all():
                which = (_JOB.id == job_id, _JOB.state == JobState.QUEUED.value)
                ended.append(await end_one(connection, self._database, which, end, now))
        return [job for job in ended if job is not None]

    async def forget(self, now: datetime, ended_before: datetime, limit: int) -> int:
        """Delete what is old; see the port."""
        old = select(_JOB.id).where(_JOB.ended_ms < ms_of(ended_before)).limit(limit)
        stale = select(_JOB.id).where(_JOB.result_expires_ms < ms_of(now)).limit(limit)
        async with self._database.writing() as connection:
            # Not those that were redriven meanwhile.
            first = _JOB.id.in_(once(old.with_for_update(skip_locked=True))), _JOB.ended_ms < ms_of(ended_before)
            gone = (await connection.execute(delete(jobs).where(*first).returning(_JOB.id))).scalars().all()
            expired = (await connection.execute(stale)).scalars().all()
            if expired:
                # Of a request nothing is left; of a job, how it ended.
                await connection.execute(delete(jobs).where(_JOB.id.in_(expired), _JOB.unlisted.is_(True)))
                await connection.execute(update(jobs).where(_JOB.id.in_(expired)).values(result_expires_ms=None))
            both = [*gone, *expired]
            if both:
                await connection.execute(delete(contents).where(contents.c.job.in_(both)))
                await connection.execute(delete(events).where(events.c.job.in_(both)))
        return len(both)

    async def forget_lanes(self, idle_since: datetime, limit: int) -> int:
        """Delete lanes that nobody needs; see the port."""
        async with self._database.writing() as connection:
            return await forget_lanes(connection, idle_since, limit)


def _held(held: Held) -> tuple[Any, ...]:
    return _JOB.id == held.id, _JOB.epoch == held.epoch, _JOB.state == JobState.RUNNING.value


def _has_turn(places: Mapping[Priority, int], now: datetime, connection: Connection) -> bool:
    return any(places[lane.name.priority] > 0 for lane in due_lanes(connection, now))


def _orders(connection: Connection, ids: Sequence[str]) -> dict[str, bytes]:
    if not ids:
        return {}
    wanted = select(contents.c.job, contents.c.sealed).where(contents.c.part == ORDER, contents.c.job.in_(ids))
    return {row.job: row.sealed for row in connection.execute(wanted)}

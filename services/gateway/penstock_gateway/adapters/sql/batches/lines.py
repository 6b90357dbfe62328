"""The jobs of a batch's lines, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.secrecy import Unreadable
from penstock_gateway.adapters.sql.batches.tables import PROVIDERS, handed
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.ending import anew, end_one, requeue
from penstock_gateway.adapters.sql.jobs.lanes import add_lanes
from penstock_gateway.adapters.sql.jobs.rows import ORDER, RESULT, job_of, ms_of, place_of, values_of
from penstock_gateway.adapters.sql.jobs.tables import contents, jobs
from penstock_gateway.domain.batches.ports import LineCounts, LineJob
from penstock_gateway.domain.jobs.job import JobEnd, JobState, NewJob
from penstock_gateway.domain.jobs.lanes import LaneName

_JOB = jobs.c
# Of a result that is read with those of other lines.
_SMALL_BYTES = 64 * 1024
_SMALL = case((func.length(contents.c.sealed) <= _SMALL_BYTES, contents.c.sealed))
_log = structlog.get_logger(__name__)
_OPEN = (JobState.QUEUED.value, JobState.RUNNING.value)


def sealed_orders(database: JobDatabase, new: Sequence[NewJob]) -> list[dict[str, Any]]:
    """Return the rows of what new jobs ask; they are sealed before others wait for the transaction."""
    seal = database.sealer.seal
    return [
        {"job": one.job.id, "part": ORDER, "sealed": seal(one.job.tenant, place_of(one.job.id, ORDER), one.order)}
        for one in new
    ]


async def keep_jobs(
    connection: AsyncConnection, database: JobDatabase, new: Sequence[NewJob], orders: Sequence[dict[str, Any]]
) -> None:
    """Keep new jobs that wait, with what they ask."""
    await connection.execute(insert(jobs), [values_of(one) for one in new])
    await connection.execute(insert(contents), orders)
    await add_lanes(connection, database, {LaneName(one.job.tenant, one.job.priority, one.job.target) for one in new})


async def counts_of_lines(connection: AsyncConnection, batch_id: str) -> LineCounts:
    """Return how the jobs of a batch's lines stand."""
    query = select(_JOB.state, func.count()).where(_JOB.batch == batch_id).group_by(_JOB.state)
    counts: dict[str, int] = {row[0]: row[1] for row in (await connection.execute(query)).all()}
    waiting = sum(counts.get(state, 0) for state in _OPEN)
    succeeded = counts.get(JobState.SUCCEEDED.value, 0)
    return LineCounts(waiting, succeeded, sum(counts.values()) - waiting - succeeded)


async def end_waiting_lines(
    connection: AsyncConnection, database: JobDatabase, batch_id: str, now: datetime, limit: int
) -> int:
    """Cancel at most so many of a batch's jobs that wait, and ask all that run to end; return how many waited."""
    # What a provider was handed is told by it, and what it answered is given and billed.
    is_a_providers = select(handed.c.job).where(handed.c.batch == batch_id, handed.c.state.in_(PROVIDERS)).subquery()
    free = (_JOB.batch == batch_id, _JOB.id.not_in(select(is_a_providers.c.job)))
    runs = (*free, _JOB.state == JobState.RUNNING.value)
    # In the order of all who write of several, so that no two wait for each other.
    await connection.execute(select(_JOB.id).where(*runs).order_by(_JOB.id).with_for_update())
    await connection.execute(update(jobs).where(*runs).values(cancels=True))
    waits = (*free, _JOB.state == JobState.QUEUED.value)
    query = select(_JOB.id).where(*waits).limit(limit).with_for_update(skip_locked=True)
    ids = (await connection.execute(query)).scalars().all()
    cancelled = JobEnd(state=JobState.CANCELLED)
    for job_id in ids:
        await end_one(connection, database, (_JOB.id == job_id, *waits), cancelled, now)
    return len(ids)


async def jobs_of_lines(
    connection: AsyncConnection, database: JobDatabase, batch_id: str, lines: tuple[int, int]
) -> list[LineJob]:
    """Return the jobs of lines, with what came of them."""
    """Large results are read when they are asked for, each by itself."""
    of_job = (contents.c.job == _JOB.id) & (contents.c.part == RESULT)
    query = (
        select(*_JOB, _SMALL.label("sealed"), contents.c.sealed.is_not(None).label("is_large"))
        .select_from(jobs.outerjoin(contents, of_job))
        .where(_JOB.batch == batch_id, _JOB.line.between(*lines))
        .order_by(_JOB.line)
    )
    rows: Sequence[Any] = (await connection.execute(query)).all()
    return [LineJob(job_of(row), partial(_opened, database, row)) for row in rows]


async def _opened(database: JobDatabase, row: Any) -> bytes | None:
    sealed: bytes | None = row.sealed
    if sealed is None and row.is_large:
        query = select(contents.c.sealed).where(contents.c.job == row.id, contents.c.part == RESULT)
        async with database.reading() as connection:
            sealed = (await connection.execute(query)).scalar()
    if sealed is None:
        return None
    try:
        return database.sealer.open(row.tenant, place_of(row.id, RESULT), sealed)
    except Unreadable as error:
        _log.error("batch_result_unreadable", job=row.id, reason=str(error))
        return None


async def let_results_go(connection: AsyncConnection, batch_id: str, now: datetime) -> None:
    """Have nothing be kept of what a batch's jobs asked and answered: its files say so."""
    await connection.execute(update(jobs).where(_JOB.batch == batch_id).values(result_expires_ms=ms_of(now)))


async def wake(connection: AsyncConnection, database: JobDatabase, job_id: str, now: datetime) -> None:
    """Have a job that has ended go on, with all attempts before it, for as long as it had in the beginning."""
    has_ended = _JOB.state.not_in(_OPEN)
    values = anew(now, ms_of(now) + (_JOB.deadline_ms - _JOB.created_ms))
    await requeue(connection, database, (_JOB.id == job_id, has_ended), values, at=now)

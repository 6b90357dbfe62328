"""How jobs end, and how they wait again: each in one transaction with all that belongs to it.

To an end belong the last event and the word for webhooks; to waiting, the events and the lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, null, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.events import add_events
from penstock_gateway.adapters.sql.jobs.lanes import add_lanes
from penstock_gateway.adapters.sql.jobs.rows import error_values, job_of, ms_of
from penstock_gateway.adapters.sql.jobs.tables import jobs
from penstock_gateway.adapters.sql.webhooks.store import add_delivery
from penstock_gateway.domain.jobs.events import Ended, JobEvent, Redriven
from penstock_gateway.domain.jobs.job import Job, JobEnd, JobState
from penstock_gateway.domain.jobs.lanes import LaneName

# What they ask is kept for as long as it is known how they ended: they may begin anew.
_REDRIVABLE = (JobState.FAILED, JobState.DEAD)
_HEARD_WITHIN = timedelta(minutes=5)
FREE = {"worker": "", "leased_until_ms": None}
"""The columns of a job that nobody is at."""


def _expiry(end: JobEnd, at_ms: int) -> Any:
    """Return when what belongs to a job goes: of a request that failed, once all who waited for it have heard of it."""
    if end.state is JobState.SUCCEEDED:
        return at_ms + jobs.c.result_ttl_ms
    heard = at_ms + _HEARD_WITHIN // timedelta(milliseconds=1)
    kept = null() if end.state in _REDRIVABLE else at_ms + jobs.c.result_ttl_ms
    return case((jobs.c.unlisted.is_(True), heard), else_=kept)


async def end_one(
    connection: AsyncConnection,
    database: JobDatabase,
    which: tuple[ColumnElement[bool], ...],
    end: JobEnd,
    at: datetime,
    *,
    told: Sequence[JobEvent] = (),
    progress: tuple[int, int] | None = None,
) -> Job | None:
    """End the one job that this is true of, after what is told of it; return it as it stands now, None where there is none."""
    at_ms = ms_of(at)
    values: dict[str, Any] = {
        "state": end.state.value,
        "ended_ms": at_ms,
        "result_expires_ms": _expiry(end, at_ms),
        "last_event": jobs.c.last_event + len(told) + 1,
        **error_values(end.error),
        **FREE,
    }
    if progress is not None:
        values["done"], values["total"] = progress
    ended = await connection.execute(update(jobs).where(*which).values(**values).returning(*jobs.c))
    row = ended.first()
    if row is None:
        return None
    await add_events(connection, database, [row], (*told, Ended(end.state, end.error)), at_ms)
    job = job_of(row)
    for delivery in database.tell(job, at):
        await add_delivery(connection, delivery)
    return job


def anew(now: datetime, deadline_ms: Any) -> dict[str, Any]:
    """Return the columns of a job that begins anew after its end: with all attempts before it, and asked to end by nobody."""
    return {
        "due_ms": ms_of(now),
        "deadline_ms": deadline_ms,
        "attempts": 0,
        "ended_ms": None,
        "result_expires_ms": None,
        "cancels": False,
        **error_values(None),
    }


async def requeue(
    connection: AsyncConnection,
    database: JobDatabase,
    which: tuple[ColumnElement[bool], ...],
    values: dict[str, Any],
    told: Sequence[JobEvent] = (Redriven(),),
    *,
    at: datetime,
) -> Sequence[Job]:
    """Have the jobs that this is true of wait again, with ``values`` and what is ``told`` of each; return them as they stand."""
    waits = {"state": JobState.QUEUED.value, "last_event": jobs.c.last_event + len(told), **FREE, **values}
    again = update(jobs).where(*which).values(**waits).returning(*jobs.c)
    rows = (await connection.execute(again)).all()
    if not rows:
        return []
    await add_events(connection, database, rows, told, ms_of(at))
    requeued = [job_of(row) for row in rows]
    # All at once, in one order: two who make the same lanes one by one would wait for each other.
    await add_lanes(connection, database, {LaneName(job.tenant, job.priority, job.target) for job in requeued})
    return requeued

"""How jobs end, and how they wait again: each in one transaction with all that belongs to it.

To an end belong the last event and the word for webhooks; to waiting, the events and the lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.events import add_events
from penstock_gateway.adapters.sql.jobs.lanes import add_lanes
from penstock_gateway.adapters.sql.jobs.rows import error_values, job_of, ms_of
from penstock_gateway.adapters.sql.jobs.tables import jobs
from penstock_gateway.adapters.sql.jobs.writing import FREE, end_those
from penstock_gateway.domain.jobs.events import JobEvent, Redriven
from penstock_gateway.domain.jobs.job import Job, JobEnd, JobState
from penstock_gateway.domain.jobs.lanes import LaneName


async def end_one(
    connection: AsyncConnection,
    database: JobDatabase,
    which: tuple[ColumnElement[bool], ...],
    end: JobEnd,
    at: datetime,
) -> Job | None:
    """End the one job that this is true of; return it as it stands now, None where there is none."""
    ended = await connection.run_sync(end_those, database, which, end, at)
    return ended[0] if ended else None


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

"""The lanes in which jobs wait: one row for each, so that the first of each is found without a look at the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.priority import Priority
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import moment_of, ms_of
from penstock_gateway.adapters.sql.jobs.tables import jobs, lanes, pauses
from penstock_gateway.domain.jobs.job import JobState
from penstock_gateway.domain.jobs.lanes import Lane, LaneName, Running

_JOB = jobs.c


async def add_lanes(connection: AsyncConnection, database: JobDatabase, names: Collection[LaneName]) -> None:
    """Have these lanes be there, until this transaction ends at least."""
    insert = postgresql_insert if database.is_shared else sqlite_insert
    # In one order everywhere, so that no two wait for each other.
    rows = [{"tenant": lane.tenant, "priority": int(lane.priority), "target": lane.target} for lane in sorted(names)]
    which = tuple_(*lanes.primary_key).in_([(lane.tenant, int(lane.priority), lane.target) for lane in names])
    # Shared by all who add jobs, and by who serves the lane; of who deletes it one of the two waits.
    held = select(lanes.c.tenant).where(which).with_for_update(read=True, key_share=True)
    while True:
        await connection.execute(insert(lanes).on_conflict_do_nothing(), rows)
        if not database.is_shared or len((await connection.execute(held)).all()) == len(names):
            return


async def forget_lanes(connection: AsyncConnection, idle_since: datetime, limit: int) -> int:
    """Delete lanes in which nothing waits, and that were last served before then; return how many went."""
    of_lane = (_JOB.tenant == lanes.c.tenant, _JOB.priority == lanes.c.priority, _JOB.target == lanes.c.target)
    idle = (
        or_(lanes.c.served_ms.is_(None), lanes.c.served_ms < ms_of(idle_since)),
        ~exists().where(*of_lane, _JOB.state == JobState.QUEUED.value),
    )
    first = select(*lanes.primary_key).where(*idle).limit(limit).with_for_update(skip_locked=True, of=lanes)
    found = (await connection.execute(first)).all()
    if not found:
        return 0
    which = tuple_(*lanes.primary_key).in_([tuple(row) for row in found])
    # Looked at again, now that nobody adds to them: somebody may have by then.
    return (await connection.execute(delete(lanes).where(which, *idle))).rowcount


def due_lanes(connection: Connection, now: datetime) -> list[Lane]:
    """Return the lanes with something that is due, and that nobody has paused: one look into the index for each that there is."""
    of_lane = (_JOB.tenant == lanes.c.tenant, _JOB.priority == lanes.c.priority, _JOB.target == lanes.c.target)
    first = select(func.min(_JOB.due_ms)).where(*of_lane, _JOB.state == JobState.QUEUED.value).scalar_subquery()
    stands = exists().where(pauses.c.tenant.in_(("", lanes.c.tenant)), pauses.c.target.in_(("", lanes.c.target)))
    rows = connection.execute(select(*lanes.c, first.label("due_ms")).where(~stands)).all()
    now_ms = ms_of(now)
    return [
        Lane(
            LaneName(row.tenant, Priority(row.priority), row.target),
            moment_of(row.due_ms),
            None if row.served_ms is None else moment_of(row.served_ms),
        )
        for row in rows
        if row.due_ms is not None and row.due_ms <= now_ms
    ]


def running_jobs(connection: Connection) -> list[Running]:
    """Return how many jobs run, by tenant and target."""
    # Whatever runs has a lease. Asked for by that, SQLite looks at what runs alone, and not at every job that there is.
    of_queue = _JOB.state == JobState.RUNNING.value, _JOB.leased_until_ms >= 0, _JOB.unlisted.is_(False)
    counted = select(_JOB.tenant, _JOB.target, func.count()).where(*of_queue)
    rows = connection.execute(counted.group_by(_JOB.tenant, _JOB.target)).all()
    return [Running(*row) for row in rows]


def once(first: Select[tuple[str]]) -> Select[tuple[str]]:
    """Return a query whose rows are chosen, and locked, once: as a subquery it may be run again for each row beside it."""
    return select(first.cte("first_ones").c.id)


def take(connection: Connection, lane: LaneName, count: int, values: dict[str, Any]) -> Sequence[Any]:
    """Begin the first jobs of a lane that are due at ``started_ms`` of ``values``; return their rows as they are now."""
    due = (
        _JOB.tenant == lane.tenant,
        _JOB.priority == int(lane.priority),
        _JOB.target == lane.target,
        _JOB.state == JobState.QUEUED.value,
        _JOB.due_ms <= values["started_ms"],
    )
    first = select(_JOB.id).where(*due).order_by(_JOB.due_ms, _JOB.id).limit(count).with_for_update(skip_locked=True)
    begun = {"state": JobState.RUNNING.value, "epoch": _JOB.epoch + 1, "attempts": _JOB.attempts + 1, **values}
    begin = update(jobs).where(_JOB.id.in_(once(first))).values(**begun).returning(*_JOB)
    taken = connection.execute(begin).all()
    of_lane = (lanes.c.tenant == lane.tenant, lanes.c.priority == int(lane.priority), lanes.c.target == lane.target)
    connection.execute(update(lanes).where(*of_lane).values(served_ms=values["started_ms"]))
    return sorted(taken, key=lambda row: (row.due_ms, row.id))

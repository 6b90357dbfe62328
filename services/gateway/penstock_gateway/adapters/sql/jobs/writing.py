"""What workers say of the jobs that they hold, of many in one transaction: what was told, and how each ended.

To an end belong the last event, the result and the word for webhooks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, select, tuple_, update

from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.events import event_rows
from penstock_gateway.adapters.sql.jobs.rows import RESULT, error_values, job_of, ms_of, place_of
from penstock_gateway.adapters.sql.jobs.tables import contents, events, jobs
from penstock_gateway.adapters.sql.webhooks.store import values_of
from penstock_gateway.adapters.sql.webhooks.tables import deliveries
from penstock_gateway.domain.jobs.events import Ended, JobEvent
from penstock_gateway.domain.jobs.job import Job, JobEnd, JobState
from penstock_gateway.domain.jobs.ports import Held

_JOB = jobs.c
FREE = {"worker": "", "leased_until_ms": None}
"""The columns of a job that nobody is at."""
# What they ask is kept for as long as it is known how they ended: they may begin anew.
_REDRIVABLE = (JobState.FAILED, JobState.DEAD)
_HEARD_WITHIN = timedelta(minutes=5)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of a job: events, after the one of a number if it is given, how far it is, and its ``end`` if it has one."""

    held: Held
    told: Sequence[JobEvent]
    now: datetime
    after: int | None = None
    progress: tuple[int, int] | None = None
    end: JobEnd | None = None

    @property
    def weight(self) -> int:
        """The bytes of its result."""
        return len(self.end.result or b"") if self.end is not None else 0


class _Changes:
    """What is to be written of rows that nobody else changes meanwhile."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database
        self.ended: list[Job] = []
        self._told: dict[str, dict[str, Any]] = {}
        self._ends: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._deliveries: list[dict[str, Any]] = []

    def tell(self, row: Any, last: int, said: Said) -> None:
        """Add to what watchers are told of a job, up to the event of that number."""
        self._events += event_rows(self._database, row, last, said.told, ms_of(said.now))
        before = self._told.get(row.id, {"done": row.done, "total": row.total})
        done, total = said.progress or (before["done"], before["total"])
        self._told[row.id] = {"of": row.id, "last_event": last, "done": done, "total": total}

    def end(self, row: Any, last: int, said: Said, end: JobEnd) -> None:
        """End a job, with the event of that number."""
        at_ms, told = ms_of(said.now), self._told.pop(row.id, None)
        done, total = said.progress or ((told["done"], told["total"]) if told else (row.done, row.total))
        self._events += event_rows(self._database, row, last, (*said.told, Ended(end.state, end.error)), at_ms)
        values = {
            "state": end.state.value,
            "ended_ms": at_ms,
            "result_expires_ms": _expiry(row, end.state, at_ms),
            "last_event": last,
            "done": done,
            "total": total,
            **error_values(end.error),
            **FREE,
        }
        self._ends.append({"of": row.id, **values})
        if end.result is not None:
            sealed = self._database.sealer.seal(row.tenant, place_of(row.id, RESULT), end.result)
            self._results.append({"job": row.id, "part": RESULT, "sealed": sealed})
        job = job_of(_Changed(row, values))
        self.ended.append(job)
        self._deliveries += [values_of(delivery) for delivery in self._database.tell(job, said.now)]

    def write(self, connection: Connection) -> None:
        """Write all of it."""
        for rows in ([*self._told.values()], self._ends):
            if rows:
                connection.execute(update(jobs).where(_JOB.id == bindparam("of")), rows)
        if self._results:
            # Of a job that succeeded before it was begun anew.
            of = [result["job"] for result in self._results]
            connection.execute(delete(contents).where(contents.c.job.in_(of), contents.c.part == RESULT))
        for table, rows in ((contents, self._results), (events, self._events), (deliveries, self._deliveries)):
            if rows:
                connection.execute(insert(table), rows)


class _Changed:
    """A row with other values."""

    def __init__(self, row: Any, values: dict[str, Any]) -> None:
        self._row = row
        self._values = values

    def __getattr__(self, name: str) -> Any:
        return self._values[name] if name in self._values else getattr(self._row, name)


def write_all(connection: Connection, database: JobDatabase, said: Sequence[Said]) -> Sequence[int | None]:
    """Write what is said of jobs; return the number of each one's last event, None where the job is lost.

    Events that are there already are not added again.
    """
    rows = {Held(row.id, row.epoch): row for row in _locked(connection, any_of({one.held for one in said}))}
    last = {held: row.last_event for held, row in rows.items()}
    changes, results = _Changes(database), list[int | None]()
    for one in said:
        number = last.get(one.held)
        if number is None:
            results.append(None)
            continue
        row, after = rows[one.held], number if one.after is None else one.after
        if one.end is not None:
            number += len(one.told) + 1
            changes.end(row, number, one, one.end)
            del last[one.held]
        elif after == number:
            number = last[one.held] = number + len(one.told)
            changes.tell(row, number, one)
        elif number != after + len(one.told):
            number = None
        results.append(number)
    changes.write(connection)
    return results


def end_those(
    connection: Connection, database: JobDatabase, which: tuple[ColumnElement[bool], ...], end: JobEnd, at: datetime
) -> Sequence[Job]:
    """End all jobs that this is true of, in the same way; return them as they stand now."""
    changes = _Changes(database)
    for row in _locked(connection, and_(*which)):
        said = Said(held=Held(row.id, row.epoch), told=(), now=at)
        changes.end(row, row.last_event + 1, said, end)
    changes.write(connection)
    return changes.ended


def any_of(held: Collection[Held]) -> ColumnElement[bool]:
    """Return what is true of the jobs that are still held so."""
    # By their ids first: of pairs SQLite makes no use of an index.
    which = _JOB.id.in_([each.id for each in held]), tuple_(_JOB.id, _JOB.epoch).in_(list(held))
    return and_(*which, _JOB.state == JobState.RUNNING.value)


def _locked(connection: Connection, which: ColumnElement[bool]) -> Sequence[Any]:
    # In one order everywhere, so that no two wait for each other.
    return connection.execute(select(jobs).where(which).order_by(_JOB.id).with_for_update()).all()


def _expiry(row: Any, state: JobState, at_ms: int) -> int | None:
    """Return when what belongs to a job goes: of a request that failed, once all who waited for it have heard of it."""
    if state is JobState.SUCCEEDED:
        return at_ms + row.result_ttl_ms
    if row.unlisted:
        return at_ms + _HEARD_WITHIN // timedelta(milliseconds=1)
    return None if state in _REDRIVABLE else at_ms + row.result_ttl_ms

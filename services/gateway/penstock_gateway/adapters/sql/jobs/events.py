"""What happened to jobs, sealed, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import event_bytes, place_of
from penstock_gateway.adapters.sql.jobs.tables import events
from penstock_gateway.domain.jobs.events import JobEvent


def event_rows(
    database: JobDatabase, job: Any, last: int, told: Sequence[JobEvent], at_ms: int
) -> list[dict[str, Any]]:
    """Return the rows of a job's newest events, of which the last has that number."""
    seal = database.sealer.seal
    return [
        {
            "job": job.id,
            "number": number,
            "at_ms": at_ms,
            "sealed": seal(job.tenant, place_of(job.id, number), event_bytes(event)),
        }
        for number, event in enumerate(told, last - len(told) + 1)
    ]


async def add_events(
    connection: AsyncConnection, database: JobDatabase, of: Sequence[Any], told: Sequence[JobEvent], at_ms: int
) -> None:
    """Keep the newest events of jobs, each given as its row after ``last_event`` has counted them."""
    rows = [row for job in of for row in event_rows(database, job, job.last_event, told, at_ms)]
    await connection.execute(insert(events), rows)

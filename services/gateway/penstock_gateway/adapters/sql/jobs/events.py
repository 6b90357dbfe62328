"""What happened to a job, sealed, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import event_bytes, place_of
from penstock_gateway.adapters.sql.jobs.tables import events
from penstock_gateway.domain.jobs.events import JobEvent


async def add_events(
    connection: AsyncConnection, database: JobDatabase, job: Any, told: Sequence[JobEvent], at_ms: int
) -> None:
    """Keep the newest events of a job, given as its row after ``last_event`` has counted them."""
    first = job.last_event - len(told) + 1
    rows = [
        {
            "job": job.id,
            "number": number,
            "at_ms": at_ms,
            "sealed": database.sealer.seal(job.tenant, place_of(job.id, number), event_bytes(event)),
        }
        for number, event in enumerate(told, first)
    ]
    await connection.execute(insert(events), rows)

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


async def add_events(
    connection: AsyncConnection, database: JobDatabase, of: Sequence[Any], told: Sequence[JobEvent], at_ms: int
) -> None:
    """Keep the newest events of jobs, each given as its row after ``last_event`` has counted them."""
    contents = [event_bytes(event) for event in told]
    rows = [
        {
            "job": job.id,
            "number": number,
            "at_ms": at_ms,
            "sealed": database.sealer.seal(job.tenant, place_of(job.id, number), content),
        }
        for job in of
        for number, content in enumerate(contents, job.last_event - len(told) + 1)
    ]
    await connection.execute(insert(events), rows)

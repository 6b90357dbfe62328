"""Who runs jobs, in SQL: as each says of itself with each heartbeat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import moment_of, ms_of
from penstock_gateway.adapters.sql.jobs.tables import workers
from penstock_gateway.domain.jobs.ports import Worker

_FORGOTTEN = timedelta(hours=1)


class SqlWorkers:
    """Implements ``Workers``."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    async def heard(self, worker: Worker) -> None:
        """Note that a worker lives; see the port."""
        insert = postgresql_insert if self._database.is_shared else sqlite_insert
        values = {"heard_ms": ms_of(worker.heard_at), "running": worker.running, "places": worker.places}
        row = insert(workers).values(worker=worker.name, **values)
        async with self._database.writing() as connection:
            await connection.execute(row.on_conflict_do_update(index_elements=["worker"], set_=values))
            old = workers.c.heard_ms < ms_of(worker.heard_at - _FORGOTTEN)
            await connection.execute(delete(workers).where(old))

    async def left(self, name: str) -> None:
        """Forget a worker; see the port."""
        async with self._database.writing() as connection:
            await connection.execute(delete(workers).where(workers.c.worker == name))

    async def heard_since(self, moment: datetime) -> Sequence[Worker]:
        """Return those that were heard of; see the port."""
        query = select(workers).where(workers.c.heard_ms >= ms_of(moment)).order_by(workers.c.worker)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [Worker(row.worker, moment_of(row.heard_ms), row.running, row.places) for row in rows]

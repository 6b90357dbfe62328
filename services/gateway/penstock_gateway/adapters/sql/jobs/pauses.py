"""Pauses, in SQL: a row for each, which claims look at."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import moment_of, ms_of
from penstock_gateway.adapters.sql.jobs.tables import pauses
from penstock_gateway.domain.jobs.pausing import Pause

_PAUSE = pauses.c


class SqlPauses:
    """Implements ``Pauses``."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    async def put(self, pause: Pause) -> None:
        """Keep a pause; see the port."""
        insert = postgresql_insert if self._database.is_shared else sqlite_insert
        values = {"reason": pause.reason, "since_ms": ms_of(pause.since)}
        row = insert(pauses).values(tenant=pause.tenant, target=pause.target, **values)
        async with self._database.writing() as connection:
            await connection.execute(row.on_conflict_do_update(index_elements=["tenant", "target"], set_=values))

    async def end(self, tenant: str, target: str) -> bool:
        """Forget a pause; see the port."""
        async with self._database.writing() as connection:
            gone = delete(pauses).where(_PAUSE.tenant == tenant, _PAUSE.target == target)
            return (await connection.execute(gone)).rowcount > 0

    async def all(self, tenant: str) -> Sequence[Pause]:
        """Return those that hold; see the port."""
        query = select(pauses).order_by(_PAUSE.tenant, _PAUSE.target)
        if tenant:
            query = query.where(_PAUSE.tenant.in_(("", tenant)))
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [Pause(row.tenant, row.target, row.reason, moment_of(row.since_ms)) for row in rows]

"""The database of jobs: transactions that write one after the other, and the seal of what is kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_gateway.adapters.sql.jobs.sealing import JobSealer
from penstock_gateway.adapters.sql.transactions import Transactions
from penstock_gateway.domain.jobs.ports import Tell

# Any number that nothing else in the database is locked by.
_CLAIM_LOCK = 0x50454E4A


class JobDatabase(Transactions):
    """An engine whose database has the schema ``JOBS``, the seal, and what tells webhooks of ends."""

    def __init__(self, engine: AsyncEngine, sealer: JobSealer, tell: Tell) -> None:
        super().__init__(engine)
        self.sealer = sealer
        self.tell = tell

    @asynccontextmanager
    async def claiming(self) -> AsyncGenerator[AsyncConnection]:
        """Yield a connection as ``writing``; of all processes, one has such at a time, so that bounds over all of them hold."""
        async with self.writing() as connection:
            if self.is_shared:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CLAIM_LOCK})
            yield connection

"""The database of jobs: transactions that write one after the other, and the seal of what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_gateway.adapters.sql.connecting import begun
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.domain.jobs.ports import Tell

# Any number that nothing else in the database is locked by.
_CLAIM_LOCK = 0x50454E4A


class JobDatabase:
    """An engine whose database has the schema ``JOBS``, the seal, and what tells webhooks of ends."""

    def __init__(self, engine: AsyncEngine, sealer: TenantSealer, tell: Tell) -> None:
        self.sealer = sealer
        self.tell = tell
        self.is_shared = engine.dialect.name == "postgresql"
        self._engine = engine
        # SQLite has one writer; here it waits without a thread.
        self._writer = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """Yield a connection.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        async with begun(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """Yield a connection whose changes happen whole, or not at all.

        Raises:
            ServiceUnavailable: if the database does not answer; nothing has changed, or the last word was lost.
            IntegrityError: if a row is there already.
        """
        async with AsyncExitStack() as stack:
            if not self.is_shared:
                await stack.enter_async_context(self._writer)
            connection = await stack.enter_async_context(begun(self._engine))
            if not self.is_shared:
                # What reads first, and then writes, may find the database locked without waiting for it.
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @asynccontextmanager
    async def claiming(self) -> AsyncGenerator[AsyncConnection]:
        """Yield a connection as ``writing``; of all processes, one has such at a time, so that bounds over all of them hold."""
        async with self.writing() as connection:
            if self.is_shared:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CLAIM_LOCK})
            yield connection

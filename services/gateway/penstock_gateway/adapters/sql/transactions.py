"""Transactions of tables that many processes write, on either database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_gateway.adapters.sql.connecting import begun


class Transactions:
    """Reads, and changes that happen whole or not at all, one after the other where the database has one writer."""

    def __init__(self, engine: AsyncEngine) -> None:
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

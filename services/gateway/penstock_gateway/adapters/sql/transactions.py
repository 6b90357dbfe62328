"""Transactions of tables that many processes write, on either database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.sql.sqlite import plain_engine
from penstock_gateway.adapters.sql.connecting import begun, failures_known

_T = TypeVar("_T")


class Transactions:
    """Reads, and changes that happen whole or not at all, one after the other where the database has one writer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.is_shared = engine.dialect.name == "postgresql"
        self._engine = engine
        # SQLite has one writer; here it waits without a thread.
        self._writer = asyncio.Lock()
        self._opened_plain: Engine | None = None

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

    async def at_once(self, work: Callable[[Connection], _T]) -> _T:
        """Return what a transaction gives that writes, and needs nothing but the connection.

        On SQLite it is one hop to a thread: the file is held for as long as ``work`` takes, and not for as long as a loop
        with other things to do takes to come back between statements. ``work`` must be one that may run in a thread.

        Raises:
            ServiceUnavailable, IntegrityError: as ``writing``.
        """
        if self.is_shared:
            async with self.writing() as connection:
                return await connection.run_sync(work)
        async with self._writer:
            with failures_known():
                return await asyncio.to_thread(_written, self._plain(), work)

    async def look(self, work: Callable[[Connection], _T]) -> _T:
        """Return what a transaction gives that only reads; otherwise as ``at_once``, and nobody waits for it."""
        if self.is_shared:
            async with self.reading() as connection:
                return await connection.run_sync(work)
        with failures_known():
            return await asyncio.to_thread(_read, self._plain(), work)

    def _plain(self) -> Engine:
        if self._opened_plain is None:
            self._opened_plain = plain_engine(self._engine)
        return self._opened_plain


def _written(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    with engine.begin() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return work(connection)


def _read(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    with engine.connect() as connection:
        return work(connection)

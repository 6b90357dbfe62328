"""The database of documents: transactions that see one moment, and write one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ResourceNotFound, ServiceUnavailable
from penstock_embedding.adapters.sealing import DocumentSealer
from penstock_embedding.adapters.sql.tables import bases


class Database:
    """An engine whose file, or database, has the schema ``KNOWLEDGE``, and the seal of what is kept there."""

    def __init__(self, engine: AsyncEngine, sealer: DocumentSealer) -> None:
        self.sealer = sealer
        self.is_shared = engine.dialect.name == "postgresql"
        """Whether other processes may be at the same documents."""
        self._engine = engine
        # SQLite has one writer; here it waits without a thread.
        self._writer = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """Yield a connection on which everything is of one moment.

        Raises:
            ServiceUnavailable: if the database does not answer.
        """
        with_failures = _failures_told()
        async with with_failures, self._engine.connect() as connection:
            if self.is_shared:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            else:
                await connection.exec_driver_sql("BEGIN")
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """Yield a connection whose changes happen whole, or not at all.

        Raises:
            ServiceUnavailable: if the database does not answer; nothing has changed, or the last word was lost.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_failures_told())
            if not self.is_shared:
                await stack.enter_async_context(self._writer)
            connection = await stack.enter_async_context(self._engine.begin())
            if not self.is_shared:
                # What reads first, and then writes, may find the database locked without waiting for it.
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection


@asynccontextmanager
async def _failures_told() -> AsyncGenerator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise ServiceUnavailable("The database of documents does not answer. Try again.", service="sql") from error


async def lock_base(connection: AsyncConnection, tenant: str, base: str) -> Mapping[Any, Any]:
    """Return the row of a knowledge base, which nobody else changes until the transaction ends.

    Raises:
        ResourceNotFound: if the tenant has none of this id.
    """
    row = await row_of_base(connection, tenant, base, locked=True)
    if row is None or row["deleted_at"] is not None:
        raise no_base(base)
    return row


async def row_of_base(
    connection: AsyncConnection, tenant: str, base: str, *, locked: bool = False
) -> Mapping[Any, Any] | None:
    """Return the row of a knowledge base, also of one that was deleted; None where there is none."""
    query = select(bases).where(bases.c.tenant == tenant, bases.c.id == base)
    found = await connection.execute(query.with_for_update() if locked else query)
    return found.mappings().first()


async def require_base(connection: AsyncConnection, tenant: str, base: str) -> Mapping[Any, Any]:
    """Return the row of a knowledge base.

    Raises:
        ResourceNotFound: if the tenant has none of this id.
    """
    row = await row_of_base(connection, tenant, base)
    if row is None or row["deleted_at"] is not None:
        raise no_base(base)
    return row


def no_base(base: str) -> ResourceNotFound:
    """Return that there is no such knowledge base."""
    return ResourceNotFound(f"There is no knowledge base '{base}'.", kind="knowledge base", name=base)


def no_document(document: str) -> ResourceNotFound:
    """Return that there is no such document."""
    return ResourceNotFound(f"There is no document '{document}'.", kind="document", name=document)


def place(kind: str, *parts: object) -> bytes:
    """Return what a sealed record is bound to."""
    return msgspec.json.encode([kind, *map(str, parts)])


def as_json(values: Sequence[Any]) -> Any:
    """Return what a column of JSON keeps."""
    return msgspec.to_builtins(list(values))

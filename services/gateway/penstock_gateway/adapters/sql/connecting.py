"""Transactions whose failures the domain knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from penstock_common.errors import ServiceUnavailable


@asynccontextmanager
async def begun(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """Yield a transaction, committed on leaving, undone by an error.

    Raises:
        ServiceUnavailable: if the database does not answer.
        IntegrityError: if a row is there already.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:
        raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error

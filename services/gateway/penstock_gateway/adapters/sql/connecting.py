"""Transactions whose failures the domain knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

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
    with failures_known():
        async with engine.begin() as connection:
            yield connection


@contextmanager
def failures_known() -> Generator[None]:
    """Say of a transaction that fails what the domain knows.

    Raises:
        ServiceUnavailable: if the database does not answer.
        IntegrityError: if a row is there already.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:
        raise ServiceUnavailable("The database does not answer. Try again.", service="sql") from error

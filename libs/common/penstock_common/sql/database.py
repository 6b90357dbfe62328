"""Opening a database, and saying when it is away or refuses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.configuration import ConfigurationError
from penstock_common.sql.address import DatabaseAddress, DatabaseAddressError, DatabaseKind, DatabaseLimits
from penstock_common.sql.postgresql import open_postgresql
from penstock_common.sql.sqlite import open_sqlite


class DatabaseRefused(OSError):
    """The database does not do what it is told. The message is a sentence that holds no password."""


@asynccontextmanager
async def open_database(url: str, limits: DatabaseLimits | None = None) -> AsyncGenerator[AsyncEngine, None]:
    """Yield an engine for ``sqlite:///path`` or ``postgresql://…``.

    Nothing is connected yet. Whatever the engine raises while the database is
    away is a SQLAlchemyError or an OSError, within the limits' time.

    Raises:
        ConfigurationError: if the address says neither.
    """
    try:
        address = DatabaseAddress.parse(url)
    except DatabaseAddressError as error:
        raise ConfigurationError(f"'sql': {error}") from None
    opened = open_sqlite if address.kind is DatabaseKind.SQLITE else open_postgresql
    async with opened(address, limits or DatabaseLimits()) as engine:
        yield engine


@contextmanager
def refusals_told(url: str) -> Generator[None]:
    """Say in a sentence what the database at ``url`` refuses.

    Raises:
        DatabaseRefused: if it does.
    """
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise DatabaseRefused(f"the database at {DatabaseAddress.parse(url).shown} refused: {reason}") from error

"""Opening the database, bringing its schema up to date, and saying when it is away."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.configuration import ConfigurationError
from penstock_gateway.adapters.sql.postgresql import open_postgresql
from penstock_gateway.adapters.sql.sqlite import open_sqlite
from penstock_gateway.domain.database_address import (
    UNHURRIED,
    DatabaseAddress,
    DatabaseAddressError,
    DatabaseKind,
    DatabaseLimits,
)

# Any number that no other program locks in the same database.
_UPGRADE_LOCK = 0x50454E53

_log = structlog.get_logger(__name__)


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


@asynccontextmanager
async def open_current_database(
    url: str, limits: DatabaseLimits, *, upgrades_schema: bool
) -> AsyncGenerator[AsyncEngine, None]:
    """Yield an engine whose database has the newest schema.

    Raises:
        ConfigurationError: if it has another one and is not to be upgraded, or the address says nothing.
    """
    if upgrades_schema:
        await upgrade_database(url)
    async with open_database(url, limits) as engine:
        await require_current(engine)
        yield engine


async def upgrade_database(url: str) -> None:
    """Bring the schema to the newest version, however long that takes.

    Raises:
        ConfigurationError: if the address says nothing.
        OSError: if the database is away or refuses; then nothing has changed.
    """
    async with open_database(url, UNHURRIED) as engine:
        with refusals_told(url):
            await upgrade(engine)


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


async def require_current(engine: AsyncEngine) -> None:
    """Check that the schema is not older than ours.

    A newer one was expanded for the next version, and still fits this one.

    Raises:
        ConfigurationError: if it is older, or not there.
    """
    async with engine.connect() as connection:
        found = await connection.run_sync(revision_of)
    newest = newest_revision()
    if is_newer(found):
        _log.warning("schema_is_newer", found=found, ours=newest)
    elif found != newest:
        raise ConfigurationError(
            f"the schema of the database is at '{found or 'nothing'}', not at '{newest}': run 'penstock db upgrade'"
        )


def revision_of(connection: Connection) -> str | None:
    """Return the schema's revision; None where there is none."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str:
    """Return the revision that the migrations lead to."""
    return known_revisions()[-1]


def known_revisions() -> list[str]:
    """Return every revision, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def is_newer(revision: str | None) -> bool:
    """Return whether only a later version of Penstock knows the revision; they are numbers of four digits."""
    return revision is not None and revision > newest_revision()


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the schema to the newest version; does nothing where it is there already, or beyond.

    One process at a time: others wait, and then find nothing to do.
    """
    async with engine.begin() as connection:
        await connection.run_sync(upgrade_to)


def upgrade_to(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to a revision, as a part of the connection's transaction."""
    take_upgrade_lock(connection)
    if is_newer(revision_of(connection)):
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def take_upgrade_lock(connection: Connection) -> None:
    """Wait until nobody else changes the schema, and hold that until the transaction ends."""
    if connection.dialect.name == "postgresql":
        # Tables with many rows take longer than any request may.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
    elif not _in_transaction(connection):
        # The driver begins before rows are written and not before tables are made; two would make the same one.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _in_transaction(connection: Connection) -> bool:
    driver_connection: Any = connection.connection.driver_connection
    return driver_connection.in_transaction


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config

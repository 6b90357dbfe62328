"""Opening the database, bringing its schema up to date, and saying when it is away."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from penstock_common.configuration import ConfigurationError

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_SQLITE_BUSY_TIMEOUT_SECONDS = 5
# Any number that no other program locks in the same database.
_UPGRADE_LOCK = 0x50454E53


class DatabaseAddressError(ValueError):
    """The address names no database that Penstock knows."""


@asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[AsyncEngine, None]:
    """Yield an engine for ``sqlite:///path`` or ``postgresql://…``."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _DRIVERS:
        raise DatabaseAddressError(f"sql must begin with sqlite:/// or postgresql://, not '{scheme}'")
    engine = create_async_engine(f"{_DRIVERS[scheme]}://{rest}")
    if scheme == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    try:
        yield engine
    finally:
        await engine.dispose()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    # Readers do not wait for the writer; a commit survives a killed process, and a power cut costs at most the
    # last ones (sqlite.org/wal.html).
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_TIMEOUT_SECONDS * 1000}")
    cursor.close()


async def require_current(engine: AsyncEngine) -> None:
    """Check that the schema is the newest version.

    Raises:
        ConfigurationError: if it is another one.
    """
    async with engine.connect() as connection:
        found, newest = await connection.run_sync(_revisions)
    if found != newest:
        raise ConfigurationError(
            f"the schema of the database is at '{found or 'nothing'}', not at '{newest}': run 'penstock db upgrade'"
        )


def _revisions(connection: Connection) -> tuple[str | None, str | None]:
    found = MigrationContext.configure(connection).get_current_revision()
    return found, ScriptDirectory.from_config(_config()).get_current_head()


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the schema to the newest version; does nothing where it is there already.

    One process at a time: others wait, and then find nothing to do.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
    else:
        # The driver begins before rows are written and not before tables are made; two would make the same one.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config

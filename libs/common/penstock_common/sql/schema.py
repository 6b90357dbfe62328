"""A service's tables, the revisions that lead to them, and bringing a database up to date."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.configuration import ConfigurationError
from penstock_common.sql.address import UNHURRIED, DatabaseLimits
from penstock_common.sql.database import open_database, refusals_told

if TYPE_CHECKING:
    from alembic.config import Config

# Any number that no other program locks in the same database.
_UPGRADE_LOCK = 0x50454E53
_ENVIRONMENT = Path(__file__).with_name("environment")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A service's own tables, and its own line of revisions.

    Where a database stands is written down for each schema by itself: who
    knows one shares the database with others that it need not know, and each
    is upgraded, or stays behind, alone.
    """

    branch: str
    """The branch label of its first revision."""
    metadata: sa.MetaData
    revisions: Path
    """The folder of its revisions, whose names are numbers of four digits."""
    version_table: str
    """Where a database says which revision it has; no other schema's."""

    def known_revisions(self) -> list[str]:
        """Return every revision, oldest first."""
        return sorted(path.stem.partition("_")[0] for path in self.revisions.glob("[0-9]*.py"))

    def newest_revision(self) -> str:
        """Return the revision that the migrations lead to."""
        return self.known_revisions()[-1]

    def is_newer(self, revision: str | None) -> bool:
        """Return whether only a later version of Penstock knows the revision."""
        return revision is not None and revision > self.newest_revision()

    def revision_of(self, connection: sa.Connection) -> str | None:
        """Return the revision that a database has; None where there is none."""
        if not sa.inspect(connection).has_table(self.version_table):
            return None
        versions = sa.table(self.version_table, sa.column("version_num", sa.String))
        return connection.execute(sa.select(versions.c.version_num)).scalar()

    def upgrade_to(self, connection: sa.Connection, revision: str = "") -> None:
        """Bring the tables to a revision, the newest unless one is named, as a part of the connection's transaction."""
        take_upgrade_lock(connection)
        found = self.revision_of(connection)
        if self.is_newer(found) or found == (revision or self.newest_revision()):
            return
        # Of ten megabytes, which a database that is current does not need.
        from alembic import command

        config = self._config()
        config.attributes.update(connection=connection, schema=self)
        command.upgrade(config, revision or f"{self.branch}@head")

    def _config(self) -> Config:
        from alembic.config import Config

        config = Config()
        for option, path in (("script_location", _ENVIRONMENT), ("version_locations", self.revisions)):
            config.set_main_option(option, str(path).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        return config


@asynccontextmanager
async def open_current_database(
    url: str, limits: DatabaseLimits, *schemas: Schema, upgrades_schema: bool
) -> AsyncGenerator[AsyncEngine, None]:
    """Yield an engine whose database has the newest revision of each schema.

    Raises:
        ConfigurationError: if it has another one and is not to be upgraded, or the address says nothing.
    """
    if upgrades_schema:
        await upgrade_database(url, *schemas)
    async with open_database(url, limits) as engine:
        for schema in schemas:
            await require_current(engine, schema)
        yield engine


async def upgrade_database(url: str, *schemas: Schema) -> None:
    """Bring each schema to its newest revision, however long that takes.

    Raises:
        ConfigurationError: if the address says nothing.
        OSError: if the database is away or refuses; then that schema, and those after it, have not changed.
    """
    async with open_database(url, UNHURRIED) as engine:
        with refusals_told(url):
            for schema in schemas:
                await upgrade(engine, schema)


async def require_current(engine: AsyncEngine, schema: Schema) -> None:
    """Check that the database's revision is not older than ours.

    A newer one was expanded for the next version, and still fits this one.

    Raises:
        ConfigurationError: if it is older, or not there.
    """
    async with engine.connect() as connection:
        found = await connection.run_sync(schema.revision_of)
    newest = schema.newest_revision()
    if schema.is_newer(found):
        _log.warning("schema_is_newer", found=found, ours=newest)
    elif found != newest:
        raise ConfigurationError(
            f"the schema of the database is at '{found or 'nothing'}', not at '{newest}': run 'penstock db upgrade'"
        )


async def upgrade(engine: AsyncEngine, schema: Schema) -> None:
    """Bring the schema to its newest revision; does nothing where it is there already, or beyond.

    One process at a time: others wait, and then find nothing to do.
    """
    async with engine.begin() as connection:
        await connection.run_sync(schema.upgrade_to)


def take_upgrade_lock(connection: sa.Connection) -> None:
    """Wait until nobody else changes any schema, and hold that until the transaction ends."""
    if connection.dialect.name == "postgresql":
        # Tables with many rows take longer than any request may.
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
    elif not _in_transaction(connection):
        # The driver begins before rows are written and not before tables are made; two would make the same one.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _in_transaction(connection: sa.Connection) -> bool:
    driver_connection: Any = connection.connection.driver_connection
    return driver_connection.in_transaction

"""The schema, from nothing and from each earlier revision, on both engines."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from structlog.testing import capture_logs

from penstock_common.configuration import ConfigurationError
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import require_current, upgrade
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import metadata

PROCESSES = 4
NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
EARLIER = GATEWAY.known_revisions()[:-1]


def differences(connection):
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, metadata)


async def tables(engine):
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))


async def test_migrations_lead_from_nothing_to_the_tables(engine):
    await upgrade(engine, GATEWAY)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database):
    before = await contents(database)
    await upgrade(database, GATEWAY)
    assert await contents(database) == before


async def contents(engine):
    async with engine.connect() as connection:
        held = await connection.run_sync(reflected)
        return {name: rows_of((await connection.execute(sa.select(table))).all()) for name, table in held.items()}


def reflected(connection):
    found = sa.MetaData()
    found.reflect(connection)
    return {table.name: table for table in found.sorted_tables if table.name != "alembic_version"}


def rows_of(rows):
    return [dict(row._mapping) for row in rows]


def example(column, number):
    """Return a value that fits into the column."""
    kind = column.type
    if isinstance(kind, sa.JSON):
        return {"n": number}
    if isinstance(kind, sa.LargeBinary):
        return bytes([number]) * 32
    if isinstance(kind, sa.DateTime):
        return NOW
    if isinstance(kind, sa.Boolean):
        return bool(number % 2)
    return f"{column.name}{number}"[: kind.length] if isinstance(kind, sa.String) else number


@pytest.mark.parametrize("revision", EARLIER)
async def test_rows_of_an_earlier_revision_survive(engine, revision):
    async with engine.begin() as connection:
        await connection.run_sync(GATEWAY.upgrade_to, revision)
    async with engine.begin() as connection:
        for table in (await connection.run_sync(reflected)).values():
            rows = [{column.name: example(column, number) for column in table.columns} for number in range(1, 4)]
            await connection.execute(table.insert(), rows)
    before = await contents(engine)
    assert all(len(rows) == 3 for rows in before.values())
    await upgrade(engine, GATEWAY)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    after = await contents(engine)
    for table, rows in before.items():
        assert [{name: row[name] for name in rows[0]} for row in after[table]] == rows


@pytest.mark.parametrize("revision", EARLIER)
async def test_gateway_refuses_an_earlier_revision(engine, revision):
    async with engine.begin() as connection:
        await connection.run_sync(GATEWAY.upgrade_to, revision)
    with pytest.raises(ConfigurationError, match=f"is at '{revision}'.*penstock db upgrade"):
        await require_current(engine, GATEWAY)


async def test_schema_of_the_next_version_is_left_alone_and_used(database):
    async with database.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.execute(sa.text("ALTER TABLE ledger ADD COLUMN of_the_next_version INTEGER"))
    await upgrade(database, GATEWAY)
    with capture_logs() as logs:
        await require_current(database, GATEWAY)
    assert [(entry["event"], entry["found"]) for entry in logs] == [("schema_is_newer", "9999")]


async def test_gateway_refuses_a_database_without_a_schema(engine):
    with pytest.raises(ConfigurationError, match="is at 'nothing'"):
        await require_current(engine, GATEWAY)


async def test_upgrade_that_fails_half_way_leaves_nothing_of_itself(engine):
    # In the way of what the upgrade makes after it has made other tables.
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE ledger (nothing_of_ours INTEGER)"))
    with pytest.raises(sa.exc.DBAPIError, match="already exists"):
        await upgrade(engine, GATEWAY)
    assert await tables(engine) == {"ledger"}


async def test_processes_that_upgrade_a_new_database_at_once_all_succeed(database_url, tmp_path):
    config = tmp_path / "penstock.yaml"
    config.write_text(json.dumps({"sql": database_url}))
    command = (sys.executable, "-m", "penstock_suite", "db", "upgrade", "--config", str(config))

    async def upgraded():
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        words, _ = await process.communicate()
        return process.returncode, words.decode()

    outcomes = await asyncio.gather(*(upgraded() for _ in range(PROCESSES)))
    assert [code for code, _ in outcomes] == [0] * PROCESSES, [words for code, words in outcomes if code]
    async with open_database(database_url) as engine, engine.connect() as connection:
        assert await connection.run_sync(GATEWAY.revision_of) == GATEWAY.newest_revision()


@pytest.mark.parametrize("bad", ["", "p.db", "mysql://x", "sqlite:"])
async def test_unknown_database_is_refused(bad):
    with pytest.raises(ConfigurationError, match="'sql': it"):
        async with open_database(bad):
            pass


# Permissions, as docs/operations.md says


async def test_owner_of_the_database_needs_no_more(postgres):
    url = postgres.create_database()
    name = database_name(url)
    async with open_database(url) as engine, engine.begin() as connection:
        await connection.execute(sa.text(f"CREATE ROLE owner_{name} LOGIN"))
        await connection.execute(sa.text(f"ALTER DATABASE {name} OWNER TO owner_{name}"))
    async with open_database(url.replace("penstock@", f"owner_{name}@")) as engine:
        await upgrade(engine, GATEWAY)
        await require_current(engine, GATEWAY)
        await write_everywhere(engine)


async def test_gateway_may_have_a_role_that_changes_no_tables(postgres):
    url = postgres.create_database()
    role = f"gateway_{database_name(url)}"
    async with open_database(url) as engine, engine.begin() as connection:
        await connection.execute(sa.text(f"CREATE ROLE {role} LOGIN"))
        tables = "SELECT, INSERT, UPDATE, DELETE ON TABLES"
        sequences = "USAGE, SELECT ON SEQUENCES"
        for right in (tables, sequences):
            await connection.execute(sa.text(f"ALTER DEFAULT PRIVILEGES GRANT {right} TO {role}"))
    async with open_database(url) as engine:
        await upgrade(engine, GATEWAY)
    async with open_database(url.replace("penstock@", f"{role}@")) as engine:
        await require_current(engine, GATEWAY)
        await write_everywhere(engine)
        with pytest.raises(sa.exc.DBAPIError, match="must be owner"):
            async with engine.begin() as connection:
                await connection.execute(sa.text("DROP TABLE ledger"))


def database_name(url):
    return url.partition("@/")[2].partition("?")[0]


async def write_everywhere(engine):
    """Write a row into each table and take it out again, numbers left to the database."""
    async with engine.begin() as connection:
        for table in metadata.sorted_tables:
            numbered = table.autoincrement_column
            row = {column.name: example(column, 1) for column in table.columns if column is not numbered}
            await connection.execute(table.insert(), [row])
            await connection.execute(table.delete())

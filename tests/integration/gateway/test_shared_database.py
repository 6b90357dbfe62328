"""Databases that were there before, and databases that several services share: each keeps to its own tables."""

from __future__ import annotations

import asyncio
import gzip
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from penstock_common.configuration import ConfigurationError
from penstock_common.sql.archive import BackupError
from penstock_common.sql.backup import back_up, restore, table_names
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import Schema, require_current, upgrade, upgrade_database
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.life.settlement import LedgerRow

FIRST_VERSION = Path(__file__).with_name("first_version")
"""A database of each engine as the first version left it, made with its code, and a backup of one."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)

NOTES_0001 = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels = "0001", None, ("notes",)

def upgrade():
    op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.String(64)))
"""
NOTES_0002 = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"

def upgrade():
    op.add_column("notes", sa.Column("color", sa.String(8)))
"""


def ignored(table, rows):
    """Progress that nobody looks at."""


@pytest.fixture
def notes(tmp_path):
    """The schema of another service; the percent sign is there because paths may have one."""
    folder = tmp_path / "100% notes"
    folder.mkdir()
    (folder / "0001_notes.py").write_text(NOTES_0001)
    (folder / "0002_color.py").write_text(NOTES_0002)
    return Schema(branch="notes", metadata=sa.MetaData(), revisions=folder, version_table="alembic_version_notes")


@pytest.fixture
async def old_url(database_url):
    """A database of the first version, with rows."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            connection.executescript((FIRST_VERSION / "sqlite.sql").read_text())
    else:
        connection = await asyncpg.connect(database_url)
        await connection.execute((FIRST_VERSION / "postgresql.sql").read_text())
        await connection.close()
    return database_url


def reflected(connection):
    found = sa.MetaData()
    found.reflect(connection)
    return found.sorted_tables


async def contents(url):
    async with open_database(url) as engine, engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in await connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in await connection.run_sync(reflected)
        }


async def identities(url):
    """Return what changes when a table is made again, by table."""
    query = "SELECT relname, oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    if url.startswith("sqlite"):
        query = "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"
    async with open_database(url) as engine, engine.connect() as connection:
        return dict((await connection.execute(sa.text(query))).all())


async def revisions(url, *schemas):
    async with open_database(url) as engine, engine.connect() as connection:
        return [await connection.run_sync(schema.revision_of) for schema in schemas]


# A database of the first version


async def test_database_of_the_first_version_goes_on_as_it_is(old_url):
    before, tables = await contents(old_url), await identities(old_url)
    assert {name: len(rows) for name, rows in before.items()} == {
        "alembic_version": 1, "api_keys": 2, "audit_log": 1, "ledger": 3, "tenants": 1, "users": 1,
    }  # fmt: skip
    await upgrade_database(old_url, GATEWAY)
    after, tables_after = await contents(old_url), await identities(old_url)
    assert {name: after[name] for name in before} == upgraded(before)
    assert {name: tables_after[name] for name in tables} == tables
    assert {name: len(after[name]) for name in set(after) - set(before)} == {
        "experiments": 0, "prompts": 0, "prompt_versions": 0, "prompt_labels": 0, "ledger_totals": 0,
        "price_revisions": 0, "teams": 0, "revoked_subjects": 0,
    }  # fmt: skip
    async with open_database(old_url) as engine:
        await require_current(engine, GATEWAY)
        async with writing_ledger(engine, 100) as writer:
            writer.append(row("gen-1"))
            writer.append(row("gen-3"))
        async with engine.connect() as connection:
            kept = (await connection.execute(sa.select(ledger).order_by(ledger.c.generation_id))).mappings().all()
    assert [each["generation_id"] for each in kept] == ["gen-0", "gen-1", "gen-2", "gen-3"]
    assert [each["request_id"] for each in kept] == ["req-0", "req-1", "req-2", "r"]
    assert (kept[1]["user"], kept[1]["tags"], kept[2]["usage_estimated"]) == ("änn", {"team": "röd"}, True)


# Nobody's, of no known source, with no price that has a name; a charge, and of no job.
ENTRY = (*("",) * 9, "charge", 0, "", 0, "")


def upgraded(contents):
    """Return what the newest version keeps of the first one's rows: all of it, exported by nobody yet, and never degraded."""
    first_of = {row[-1]: row[0] for row in contents["api_keys"] if row[-1] is not None}
    marked = {
        # By revision: 3 to 6, prompts, experiments, compression, what was judged.
        "ledger": [
            (*row, None, "", False, 0, 0, 0, 0, 0, *("", 0), *("", "", "", "", False), 0, *("", ""), *ENTRY)
            for row in contents["ledger"]
        ],
        "audit_log": [(*row, None) for row in contents["audit_log"]],
        # Keys of before find what everybody finds, are of no team, and know which key they were rotated from.
        "api_keys": [(*row, None, None, None, first_of.get(row[0])) for row in contents["api_keys"]],
        "tenants": [(*row, None) for row in contents["tenants"]],
        "users": [(*row, None, None) for row in contents["users"]],
    }
    return contents | marked | {"alembic_version": [(GATEWAY.newest_revision(),)]}


def row(generation_id):
    return LedgerRow(
        generation_id=generation_id, request_id="r", created_at=NOW, tenant="demo", key_id="k", surface="openai",
        requested_model="fast", outcome="ok",
    )  # fmt: skip


async def test_backup_of_the_first_version_is_restored(old_url, database_url, tmp_path, notes):
    archive = tmp_path / "old.backup"
    archive.write_bytes(gzip.compress((FIRST_VERSION / "backup.jsonl").read_bytes()))
    before = await contents(old_url)
    restored = await restore(database_url, archive, ignored, (GATEWAY, notes), replace=True)
    assert (restored.backup.schema, restored.schema, restored.replaced) == ("0002", GATEWAY.newest_revision(), True)
    after = await contents(database_url)
    assert {name: after[name] for name in before} == upgraded(before)
    # It knew nothing of the others; their tables are there, and empty.
    assert after["notes"] == []
    assert await revisions(database_url, notes) == ["0002"]


async def test_another_service_joins_a_database_of_the_first_version_and_the_gateway_does_not_notice(old_url, notes):
    before, tables = await contents(old_url), await identities(old_url)
    await upgrade_database(old_url, notes)
    after, tables_after = await contents(old_url), await identities(old_url)
    assert {name: after[name] for name in before} == before
    assert {name: tables_after[name] for name in tables} == tables
    assert set(after) - set(before) == {"notes", "alembic_version_notes"}
    # What the first version reads to know where the database stands.
    assert after["alembic_version"] == [("0002",)]


# Several services, one database


async def test_each_schema_is_upgraded_alone_in_either_order(database_url, notes):
    async with open_database(database_url) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(notes.upgrade_to, "0001")
        with pytest.raises(ConfigurationError, match="is at 'nothing'"):
            await require_current(engine, GATEWAY)
        await upgrade(engine, GATEWAY)
        await require_current(engine, GATEWAY)
        with pytest.raises(ConfigurationError, match="is at '0001', not at '0002'"):
            await require_current(engine, notes)
        await upgrade(engine, notes)
        await require_current(engine, notes)


async def test_schema_of_a_later_version_is_no_matter_of_the_others(database_url, notes):
    async with open_database(database_url) as engine:
        await upgrade(engine, notes)
        async with engine.begin() as connection:
            await connection.execute(sa.text("UPDATE alembic_version_notes SET version_num = '9999'"))
        await upgrade(engine, GATEWAY)
        with capture_logs() as logs:
            await require_current(engine, GATEWAY)
            assert logs == []
            await require_current(engine, notes)
    assert [entry["found"] for entry in logs] == ["9999"]


async def test_starters_of_several_services_wait_for_each_other(database_url, notes):
    await asyncio.gather(*(upgrade_database(database_url, schema) for _ in range(3) for schema in (GATEWAY, notes)))
    assert await revisions(database_url, GATEWAY, notes) == [GATEWAY.newest_revision(), "0002"]


async def shared(url, notes):
    """Make both schemas, with rows in each."""
    for schema in (GATEWAY, notes):
        await upgrade_database(url, schema)
    async with open_database(url) as engine:
        async with writing_ledger(engine, 100) as writer:
            writer.append(row("a"))
        async with engine.begin() as connection:
            await connection.execute(sa.text("INSERT INTO notes (id, text, color) VALUES (1, 'one', 'red')"))


async def test_one_archive_holds_the_tables_of_all_who_share_the_database(database_url, notes, tmp_path):
    await shared(database_url, notes)
    before, archive = await contents(database_url), tmp_path / "both.backup"
    made = await back_up(database_url, archive, ignored, (GATEWAY, notes))
    assert (made.schema, made.branches) == (GATEWAY.newest_revision(), {"notes": "0002"})
    assert (made.rows["ledger"], made.rows["notes"]) == (1, 1)
    target = f"sqlite:///{tmp_path}/restored.db"
    await restore(target, archive, ignored, (GATEWAY, notes))
    assert comparable(await contents(target)) == comparable(before)
    with pytest.raises(BackupError, match="has tables of notes"):
        await restore(f"sqlite:///{tmp_path}/other.db", archive, ignored, (GATEWAY,))


def comparable(held):
    """SQLite keeps no time zone."""

    def naive(value):
        return value.replace(tzinfo=None) if isinstance(value, datetime) else value

    return {name: [tuple(naive(value) for value in each) for each in rows] for name, rows in held.items()}


async def test_archive_of_a_branch_that_is_not_up_to_date_is_upgraded_when_restored(database_url, notes, tmp_path):
    async with open_database(database_url) as engine, engine.begin() as connection:
        await connection.run_sync(GATEWAY.upgrade_to)
        await connection.run_sync(notes.upgrade_to, "0001")
        await connection.execute(sa.text("INSERT INTO notes (id, text) VALUES (1, 'one')"))
    archive = tmp_path / "older.backup"
    made = await back_up(database_url, archive, ignored, (GATEWAY, notes))
    assert made.branches == {"notes": "0001"}
    await restore(database_url, archive, ignored, (GATEWAY, notes), replace=True)
    assert (await contents(database_url))["notes"] == [(1, "one", None)]
    assert await revisions(database_url, GATEWAY, notes) == [GATEWAY.newest_revision(), "0002"]


async def test_gateway_alone_copies_and_replaces_its_own_tables_and_leaves_the_others(database_url, notes, tmp_path):
    await shared(database_url, notes)
    before, archive = await contents(database_url), tmp_path / "own.backup"
    made = await back_up(database_url, archive, ignored, (GATEWAY,))
    assert set(made.rows) == set(table_names(GATEWAY, GATEWAY.newest_revision()))
    assert b"branches" not in gzip.decompress(archive.read_bytes())
    await restore(database_url, archive, ignored, (GATEWAY,), replace=True)
    assert await contents(database_url) == before

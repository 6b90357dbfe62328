"""Copies of the database: out of each engine, into each, and what is refused."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import json
import stat
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from penstock_common.sql.archive import BackupError, open_archive
from penstock_common.sql.backup import back_up, restore, table_names
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import require_current, upgrade
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.app.copies import fingerprint_of
from penstock_gateway.domain.life.settlement import LedgerRow

SCHEMAS = (GATEWAY,)
NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def ignored(table, rows):
    """Progress that nobody looks at."""


@pytest.fixture(params=["sqlite", "postgresql"])
def target_url(request, tmp_path):
    """An empty database to restore into, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/restored.db"
    return request.getfixturevalue("postgres").create_database()


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "copies" / "penstock.backup"


@pytest.fixture(autouse=True)
def _folder(archive):
    archive.parent.mkdir()


# What a database holds


def reflected(connection):
    found = sa.MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


async def contents(url):
    """Return every row of every table, by column, in the order of their first columns."""
    async with open_database(url) as engine, engine.connect() as connection:
        held = {}
        for table in await connection.run_sync(reflected):
            rows = (await connection.execute(sa.select(table).order_by(*table.primary_key))).mappings()
            held[table.name] = [{name: comparable(value) for name, value in row.items()} for row in rows]
        return held


def comparable(value):
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


async def fill(url, revision="", count=3):
    """Make the schema of a revision with rows in every table; those with odd numbers leave out what may be empty."""
    async with open_database(url) as engine, engine.begin() as connection:
        await connection.run_sync(GATEWAY.upgrade_to, revision)
        for table in await connection.run_sync(reflected):
            rows = [{column.name: example(column, number) for column in table.columns} for number in range(count)]
            if rows:
                await connection.execute(table.insert(), rows)


def example(column, number):
    kind = column.type
    if column.nullable and number % 2:
        return sa.null() if isinstance(kind, sa.JSON) else None
    if isinstance(kind, sa.JSON):
        return {"ä\u0000": [number, 0.1, None, True, "\U0001f600"]}
    if isinstance(kind, sa.LargeBinary):
        return bytes(range(number, number + 32))
    if isinstance(kind, sa.DateTime):
        return NOW + timedelta(microseconds=number)
    if isinstance(kind, sa.Boolean):
        return bool(number % 2)
    if isinstance(kind, sa.String):
        return f'{number} \U0001f600\n"{column.name}"'[: kind.length]
    if isinstance(kind, sa.BigInteger) and not column.primary_key:
        return 2**63 - 1 - number
    return number / 3 if isinstance(kind, sa.Float) else number


# There and back


async def test_restored_database_is_the_one_that_was_backed_up(database_url, target_url, archive):
    await fill(database_url)
    before = await contents(database_url)
    made = await back_up(database_url, archive, ignored, SCHEMAS)
    restored = await restore(target_url, archive, ignored, SCHEMAS)
    assert await contents(target_url) == before
    assert made.rows == dict.fromkeys(table_names(GATEWAY, GATEWAY.newest_revision()), 3) == restored.backup.rows
    assert (made.schema, restored.schema, restored.replaced) == (
        GATEWAY.newest_revision(),
        GATEWAY.newest_revision(),
        False,
    )
    assert await contents(database_url) == before
    async with open_database(target_url) as engine:
        await require_current(engine, GATEWAY)


async def test_many_rows_are_copied_in_batches_and_told_of(database_url, target_url, archive):
    await fill(database_url)
    async with open_database(database_url) as engine:
        await write(engine, [row("many", number) for number in range(2500)])
    told = []
    made = await back_up(database_url, archive, lambda table, rows: told.append((table, rows)), SCHEMAS)
    assert [rows for table, rows in told if table == "ledger"] == [1000, 2000, 2503]
    told.clear()
    await restore(target_url, archive, lambda table, rows: told.append((table, rows)), SCHEMAS)
    assert [rows for table, rows in told if table == "ledger"] == [1000, 2000, 2503]
    assert made.rows["ledger"] == len((await contents(target_url))["ledger"]) == 2503


async def test_database_without_rows_is_a_backup_too(database_url, target_url, archive):
    await fill(database_url, count=0)
    await back_up(database_url, archive, ignored, SCHEMAS)
    restored = await restore(target_url, archive, ignored, SCHEMAS)
    assert set(restored.backup.rows.values()) == {0}


@pytest.mark.parametrize("revision", GATEWAY.known_revisions()[:-1])
async def test_older_schema_is_backed_up_as_it_is_and_upgraded_when_restored(
    database_url, target_url, archive, revision
):
    await fill(database_url, revision)
    before = await contents(database_url)
    made = await back_up(database_url, archive, ignored, SCHEMAS)
    restored = await restore(target_url, archive, ignored, SCHEMAS)
    assert (made.schema, restored.schema) == (revision, GATEWAY.newest_revision())
    after = await contents(target_url)
    for table, rows in before.items():
        assert [{name: kept[name] for name in rows[0]} for kept in after[table]] == rows


async def test_rows_that_follow_a_restore_are_numbered_after_the_others(database_url, target_url, archive):
    await fill(database_url)
    await back_up(database_url, archive, ignored, SCHEMAS)
    await restore(target_url, archive, ignored, SCHEMAS)
    async with open_database(target_url) as engine, engine.begin() as connection:
        numbered = [table for table in await connection.run_sync(reflected) if is_numbered(table)]
        for table in numbered:
            (number,) = table.primary_key
            row = {column.name: example(column, 0) for column in table.columns if column is not number}
            await connection.execute(table.insert(), [row])
            highest = (await connection.execute(sa.select(sa.func.max(number)))).scalar()
            assert highest == 3, table.name


def is_numbered(table):
    return [isinstance(column.type, sa.Integer) for column in table.primary_key] == [True]


# The file


async def test_archive_is_its_owners_alone_and_readable_without_penstock(database_url, archive):
    await fill(database_url)
    made = await back_up(database_url, archive, ignored, SCHEMAS, pepper="f1f2")
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    first, *_, last = map(json.loads, lines_of(archive))
    assert (first["format"], first["version"], first["schema"]) == ("penstock-backup", 1, GATEWAY.newest_revision())
    assert (first["pepper"], datetime.fromisoformat(first["created_at"])) == ("f1f2", made.created_at)
    assert last["rows"] == made.rows


async def test_backup_that_fails_leaves_the_older_one(database_url, archive):
    await fill(database_url)
    archive.write_bytes(b"the older one")

    def interrupt(table, rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await back_up(database_url, archive, interrupt, SCHEMAS)
    assert archive.read_bytes() == b"the older one"
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    await back_up(database_url, archive, ignored, SCHEMAS)
    with open_archive(archive) as opened:
        assert opened.contents.schema == GATEWAY.newest_revision()


@pytest.mark.parametrize("place", ["missing/penstock.backup", "."])
async def test_place_that_cannot_be_written_is_named(database_url, archive, place):
    await fill(database_url)
    with pytest.raises(BackupError, match=str(archive.parent)):
        await back_up(database_url, archive.parent / place, ignored, SCHEMAS)


async def test_missing_database_is_not_made_by_backing_it_up(tmp_path, archive):
    with pytest.raises(BackupError, match="there is no database at"):
        await back_up(f"sqlite:///{tmp_path}/missing.db", archive, ignored, SCHEMAS)
    assert not (tmp_path / "missing.db").exists()


async def test_database_without_a_schema_has_nothing_to_back_up(postgres, archive):
    with pytest.raises(BackupError, match="nothing to back up"):
        await back_up(postgres.create_database(), archive, ignored, SCHEMAS)
    assert not archive.exists()


async def test_database_of_a_later_version_is_left_to_that(database_url, target_url, archive):
    await fill(database_url)
    await back_up(database_url, archive, ignored, SCHEMAS)
    async with open_database(database_url) as engine, engine.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BackupError, match="'9999' is of a later version"):
        await back_up(database_url, archive, ignored, SCHEMAS)
    with pytest.raises(BackupError, match="'9999' of a later version"):
        await restore(database_url, archive, ignored, SCHEMAS, replace=True)


def test_peppers_are_told_apart_without_being_given_away():
    assert fingerprint_of(b"p" * 32) != fingerprint_of(b"q" * 32)
    assert len(fingerprint_of(b"p" * 32)) == 16


# What is refused


async def test_rows_are_lost_only_on_request(database_url, target_url, archive):
    await fill(database_url)
    await back_up(database_url, archive, ignored, SCHEMAS)
    async with open_database(target_url) as engine:
        await upgrade(engine, GATEWAY)
        await write(engine, [row("older", number) for number in range(5)])
    older = await contents(target_url)
    with pytest.raises(BackupError, match="the database has rows in ledger: .*--replace"):
        await restore(target_url, archive, ignored, SCHEMAS)
    assert await contents(target_url) == older
    restored = await restore(target_url, archive, ignored, SCHEMAS, replace=True)
    assert restored.replaced
    assert await contents(target_url) == await contents(database_url)


async def test_restore_that_ends_half_way_changes_nothing(database_url, target_url, archive):
    await fill(database_url)
    await back_up(database_url, archive, ignored, SCHEMAS)
    await fill(target_url, count=2)
    older = await contents(target_url)

    def interrupt(table, rows):
        if table == "ledger":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await restore(target_url, archive, interrupt, SCHEMAS, replace=True)
    assert await contents(target_url) == older


async def small_archive(tmp_path, archive):
    url = f"sqlite:///{tmp_path}/small.db"
    await fill(url, count=1)
    await back_up(url, archive, ignored, SCHEMAS)
    return archive.read_bytes()


async def test_archive_that_is_cut_short_anywhere_is_refused(tmp_path, archive):
    whole = await small_archive(tmp_path, archive)
    for length in range(len(whole)):
        archive.write_bytes(whole[:length])
        with pytest.raises(BackupError), open_archive(archive):
            pass


async def test_archive_with_any_byte_changed_is_refused_or_the_same(tmp_path, archive):
    whole = await small_archive(tmp_path, archive)
    with open_archive(archive) as opened:
        held, batches = opened.contents, list(opened.batches())
    for place in range(len(whole)):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            with open_archive(archive) as opened:
                # The time and the system in gzip's header mean nothing to us.
                assert (opened.contents, list(opened.batches())) == (held, batches)
        except BackupError:
            continue


def lines_of(archive):
    return gzip.decompress(archive.read_bytes()).splitlines(keepends=True)


def rewritten(archive, change):
    """Pack the archive's lines again after ``change``."""
    archive.write_bytes(gzip.compress(b"".join(change(lines_of(archive)))))


def _without_a_row(lines):
    last = max(at for at, line in enumerate(lines) if line.startswith(b"["))
    return [*lines[:last], *lines[last + 1 :]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: _without_a_row(lines), "checksum"),
        (lambda lines: lines[:-1], "its end is missing"),
        (lambda lines: [*lines, b"[]\n"], "something follows"),
        (lambda lines: [lines[0], *lines[2:]], "damaged"),
        (lambda lines: [*lines[:3], b"[1]\n", *lines[3:]], "number of columns"),
        (lambda lines: [*lines[:-1], b"{}\n"], "damaged"),
        (lambda lines: lines[1:], "no archive of"),
        (lambda lines: [b"\xff\xfe\n", *lines[1:]], "no archive of"),
        (lambda lines: [], "no archive of"),
        (lambda lines: [lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]], "later version of Penstock"),
    ],
    ids=["row gone", "end gone", "more", "table gone", "odd row", "odd end", "no head", "no text", "empty", "version"],
)
async def test_archive_that_was_changed_is_refused_with_a_sentence(tmp_path, archive, target_url, change, told):
    await small_archive(tmp_path, archive)
    rewritten(archive, change)
    with pytest.raises(BackupError, match=told):
        await restore(target_url, archive, ignored, SCHEMAS)


@pytest.mark.parametrize("bad", [b"", b"PGDMP", b"{}" * 100])
async def test_other_files_are_refused(archive, bad, tmp_path):
    archive.write_bytes(bad)
    with pytest.raises(BackupError, match="no archive of 'penstock backup'"):
        await restore(f"sqlite:///{tmp_path}/restored.db", archive, ignored, SCHEMAS)
    with pytest.raises(BackupError, match="No such file"):
        await restore(f"sqlite:///{tmp_path}/restored.db", archive.with_name("missing"), ignored, SCHEMAS)


@pytest.mark.parametrize(("schema", "told"), [("9999", "later version"), ("0000", "no version of Penstock has")])
async def test_archive_with_another_schema_is_refused(tmp_path, archive, target_url, schema, told):
    await small_archive(tmp_path, archive)
    lines = lines_of(archive)
    lines[0] = lines[0].replace(GATEWAY.newest_revision().encode(), schema.encode())
    trailer = json.loads(lines[-1])
    trailer["sha256"] = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
    archive.write_bytes(gzip.compress(b"".join([*lines[:-1], json.dumps(trailer).encode() + b"\n"])))
    with pytest.raises(BackupError, match=told):
        await restore(target_url, archive, ignored, SCHEMAS)


# Under load


def row(writer, number):
    return LedgerRow(
        generation_id=f"{writer}-{number:07d}", request_id=f"r{number}", created_at=NOW, tenant="demo", key_id=writer,
        surface="openai", requested_model="fast", outcome="ok", cost_nano_usd=number, tags={"n": str(number)},
    )  # fmt: skip


async def write(engine, rows):
    writer = SqlLedger(engine)
    for one in rows:
        writer.append(one)
    writer.close()
    await writer.run()


class Load:
    """A ledger of its own, to which numbered rows are appended until told to end; it commits them in this order."""

    def __init__(self, name, engine):
        self.name, self.appended = name, 0
        self.writer = SqlLedger(engine)
        self._ended = False

    async def run(self):
        while not self._ended:
            for _ in range(40):
                self.writer.append(row(self.name, self.appended))
                self.appended += 1
            await asyncio.sleep(0.001)
        self.writer.close()

    def end(self):
        self._ended = True


async def numbers_of(url):
    """Return the numbers of each writer's rows, and what they cost, in the order of the rows' ids."""
    async with open_database(url) as engine, engine.connect() as connection:
        wanted = sa.select(ledger.c.key_id, ledger.c.generation_id, ledger.c.cost_nano_usd, ledger.c.tags)
        found = {}
        for name, generation_id, cost, tags in await connection.execute(wanted.order_by(ledger.c.generation_id)):
            number = int(generation_id.removeprefix(f"{name}-"))
            assert (cost, tags) == (number, {"n": str(number)})
            found.setdefault(name, []).append(number)
        return found


async def counts(engine):
    async with engine.connect() as connection:
        wanted = sa.select(ledger.c.key_id, sa.func.count()).group_by(ledger.c.key_id)
        return dict((await connection.execute(wanted)).all())


async def test_ledger_restored_from_a_backup_under_load_has_neither_gaps_nor_doubles(database_url, target_url, archive):
    """Restore of a backup taken under load gives a ledger without gaps or doubles.

    Definition. Several writers append rows 0, 1, 2, … to real ledgers, which commit them in this order, while the
    backup runs. In the ledger that is restored from it,

    - no doubles: no row is there twice;
    - no gaps: the rows of each writer are 0 … n-1, an unbroken prefix of what it wrote;
    - nothing committed is missing: every row that had been committed when the backup began is there;
    - nothing is made up: no row is there that was not written, and each holds what was written.

    The backup is one moment, so what was committed while it ran may be there or not.
    """
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_database(database_url))
        await upgrade(engine, GATEWAY)
        loads = [Load(name, await stack.enter_async_context(open_database(database_url))) for name in ("a", "b", "c")]
        async with asyncio.TaskGroup() as group:
            for load in loads:
                group.create_task(load.run())
                group.create_task(load.writer.run())
            while len(committed := await counts(engine)) < len(loads) or min(committed.values()) < 1000:
                await asyncio.sleep(0.005)
            before = await counts(engine)
            made = await back_up(database_url, archive, ignored, SCHEMAS)
            appended = {load.name: load.appended for load in loads}
            after = await counts(engine)
            for load in loads:
                load.end()
    # It was under load: they went on while it ran, though SQLite lets one of them wait for the others.
    assert sum(after.values()) > sum(before.values())
    restored = await restore(target_url, archive, ignored, SCHEMAS)
    numbers = await numbers_of(target_url)
    for name, found in numbers.items():
        assert found == list(range(len(found)))
        assert before[name] <= len(found) <= appended[name]
    assert set(numbers) == {"a", "b", "c"}
    assert sum(map(len, numbers.values())) == made.rows["ledger"] == restored.backup.rows["ledger"]
    # And whoever was copied has lost nothing by it.
    assert {name: len(found) for name, found in (await numbers_of(database_url)).items()} == {
        load.name: load.appended for load in loads
    }


async def test_backup_is_one_moment_of_all_tables(database_url, archive):
    await fill(database_url, count=0)
    async with open_database(database_url) as engine, asyncio.TaskGroup() as group:
        ended = asyncio.Event()

        async def write_pairs():
            for number in itertools.count():
                async with engine.begin() as connection:
                    for table in await connection.run_sync(pair):
                        row = {column.name: example(column, 0) for column in table.columns}
                        row |= {"id": f"{number}", "digest": str(number).encode(), "generation_id": f"{number}"}
                        mine = {name: value for name, value in row.items() if name in table.columns}
                        await connection.execute(table.insert(), [mine])
                if ended.is_set():
                    return

        group.create_task(write_pairs())
        restored = []
        for _ in range(10):
            await back_up(database_url, archive, ignored, SCHEMAS)
            with open_archive(archive) as opened:
                restored.append(opened.contents.rows)
        ended.set()
    assert all(rows["api_keys"] == rows["ledger"] for rows in restored)
    assert restored[-1]["ledger"] > restored[0]["ledger"]


def pair(connection):
    return [table for table in reflected(connection) if table.name in {"api_keys", "ledger"}]


async def test_gateway_goes_on_writing_after_its_database_is_replaced(database_url, archive, tmp_path):
    await small_archive(tmp_path, archive)
    async with open_database(database_url) as engine:
        await upgrade(engine, GATEWAY)
        load = Load("a", engine)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            group.create_task(load.writer.run())
            while (await counts(engine)).get("a", 0) < 500:
                await asyncio.sleep(0.005)
            await restore(database_url, archive, ignored, SCHEMAS, replace=True)
            appended = load.appended
            while (await counts(engine)).get("a", 0) < 500:
                await asyncio.sleep(0.005)
            load.end()
        assert await revision(engine) == GATEWAY.newest_revision()
    numbers = (await numbers_of_load(database_url))["a"]
    # What was committed before is gone with the rest; from then on nothing is missing, whatever waited meanwhile.
    assert numbers == list(range(numbers[0], load.appended))
    assert numbers[0] <= appended


async def revision(engine):
    async with engine.connect() as connection:
        return await connection.run_sync(GATEWAY.revision_of)


async def numbers_of_load(url):
    async with open_database(url) as engine, engine.connect() as connection:
        wanted = sa.select(ledger.c.generation_id).where(ledger.c.key_id == "a").order_by(ledger.c.generation_id)
        return {"a": [int(found.removeprefix("a-")) for found in (await connection.execute(wanted)).scalars()]}

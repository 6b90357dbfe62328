"""Keys and the ledger in real databases: SQLite always, PostgreSQL where it is installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from penstock_common.errors import Overloaded
from penstock_common.llm.types import UnitPrices, Usage
from penstock_gateway.adapters.sql import ledger as ledger_module
from penstock_gateway.adapters.sql.database import DatabaseAddressError, open_database, upgrade
from penstock_gateway.adapters.sql.keys import SqlKeyStore
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.sql.tables import ledger, metadata
from penstock_gateway.domain.authentication import KeyStoreUnavailable
from penstock_gateway.domain.identity import KeyRecord, KeyScope
from penstock_gateway.domain.key_administration import KeyAdministration, NewKey, UnknownTenantError
from penstock_gateway.domain.settlement import LedgerRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """The URL of a PostgreSQL of our own."""
    server = shutil.which("postgres")
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    # It refuses to run as root.
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    folder = tmp_path_factory.mktemp("postgres")
    data = folder / "data"
    data.mkdir()
    if user:
        shutil.chown(data, "nobody")
        for parent in (folder, *folder.parents):
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    binaries = os.path.dirname(os.path.realpath(server))
    subprocess.run(
        [f"{binaries}/initdb", "-D", data, "-U", "penstock", "-A", "trust", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **user,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["-D", data, "-c", f"port={port}", "-c", "unix_socket_directories=", "-c", "fsync=off"]
    process = subprocess.Popen([f"{binaries}/postgres", *arguments], stderr=subprocess.PIPE, cwd="/", text=True, **user)
    for line in process.stderr:
        if "ready to accept connections" in line:
            break
    yield f"postgresql://penstock@127.0.0.1:{port}/postgres"
    process.terminate()
    process.communicate()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/p.db"
    return request.getfixturevalue("postgres")


@pytest.fixture
async def engine(url):
    """An empty database's engine."""
    async with open_database(url) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
        yield engine


@pytest.fixture
async def database(engine):
    """The engine of a database whose schema is there."""
    await upgrade(engine)
    return engine


# The schema


async def test_migrations_lead_from_nothing_to_the_tables(engine):
    await upgrade(engine)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), metadata)
        )
    assert differences == []


async def test_migrating_again_changes_nothing(database):
    async with database.begin() as connection:
        await connection.execute(ledger.insert().values(**ledger_module._values(row("kept"))))
    await upgrade(database)
    assert await written(database) == ["kept"]


@pytest.mark.parametrize("bad", ["", "p.db", "mysql://x", "sqlite:"])
async def test_unknown_database_is_refused(bad):
    with pytest.raises(DatabaseAddressError):
        async with open_database(bad):
            pass


# The ledger


def row(generation_id, **fields):
    return LedgerRow(
        **{
            "generation_id": generation_id,
            "request_id": "r",
            "created_at": NOW,
            "tenant": "demo",
            "key_id": "k",
            "surface": "openai",
            "requested_model": "fast",
            "outcome": "ok",
            **fields,
        }
    )


async def written(engine):
    async with engine.connect() as connection:
        result = await connection.execute(sa.select(ledger.c.generation_id).order_by(ledger.c.generation_id))
        return list(result.scalars())


@asynccontextmanager
async def writing(engine, **options):
    """A ledger that writes; leaving closes it and waits until it has ended."""
    writer = SqlLedger(engine, **options)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        yield writer
        writer.close()


async def until_written(engine, count):
    async with asyncio.timeout(20):
        while len(await written(engine)) < count:
            await asyncio.sleep(0.005)


@pytest.fixture
def commits(database):
    """When each transaction was committed, on the loop's clock."""
    times = []
    sa.event.listen(database.sync_engine, "commit", lambda _: times.append(asyncio.get_running_loop().time()))
    return times


async def test_rows_are_committed_in_batches_of_sixty_four(database, commits):
    async with writing(database) as writer:
        for number in range(200):
            writer.append(row(f"{number:03d}"))
    assert await written(database) == [f"{number:03d}" for number in range(200)]
    assert len(commits) == 4


async def test_row_does_not_wait_for_others(database, commits):
    async with writing(database) as writer:
        writer.append(row("a"))
        await until_written(database, 1)
        writer.append(row("b"))
        await until_written(database, 2)
    assert len(commits) == 2


async def test_row_written_twice_is_one_row_and_the_first_stays(database):
    async with writing(database) as writer:
        writer.append(row("a", cost_nano_usd=1))
        writer.append(row("a", cost_nano_usd=2))
        await until_written(database, 1)
        writer.append(row("a", cost_nano_usd=3))
        writer.append(row("b"))
    async with database.connect() as connection:
        result = await connection.execute(sa.select(ledger.c.cost_nano_usd).where(ledger.c.generation_id == "a"))
        assert list(result.scalars()) == [1]
    assert await written(database) == ["a", "b"]


async def test_closing_writes_what_waits(database):
    async with writing(database) as writer:
        for number in range(100):
            writer.append(row(f"{number:03d}"))
    assert len(await written(database)) == 100


async def test_row_keeps_every_figure(database):
    usage = Usage(
        input_tokens=2**32 - 1, output_tokens=2, cached_input_tokens=3, cache_write_input_tokens=4, reasoning_tokens=5,
        estimated=True,
    )  # fmt: skip
    prices = UnitPrices(input_nano_usd=10**15, cached_input_nano_usd=6, output_nano_usd=7)
    async with writing(database) as writer:
        writer.append(
            row(
                "a", usage=usage, unit_prices=prices, cost_nano_usd=2**62, tags={"ä": "\u0000"}, user="\U0001f600" * 256
            )
        )
    async with database.connect() as connection:
        (kept,) = (await connection.execute(sa.select(ledger))).mappings()
    assert (kept["input_tokens"], kept["cost_nano_usd"], kept["input_price_nano_usd"]) == (2**32 - 1, 2**62, 10**15)
    assert (kept["usage_estimated"], kept["user"], kept["tags"]) == (True, "\U0001f600" * 256, {"ä": "\u0000"})
    assert kept["time_to_first_token_ms"] is None


async def test_longest_names_that_are_let_in_fit(database):
    async with writing(database) as writer:
        writer.append(
            row(
                "a" * 24,
                request_id="r" * 128,
                tenant="t" * 128,
                key_id=f"config-{'t' * 128}-100",
                requested_model="m" * 128,
                outcome="context_length_exceeded",
                finish_reason="content_filter",
                user="u" * 256,
                feature="f" * 64,
                tags={f"{number:064d}": "v" * 512 for number in range(16)},
            )
        )
    assert len(await written(database)) == 1


@asynccontextmanager
async def away(engine):
    """The table is gone, as a database that is away; it comes back as it was."""
    async with engine.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE ledger RENAME TO hidden"))
    yield
    async with engine.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE hidden RENAME TO ledger"))


async def test_rows_wait_while_the_database_is_away_and_are_written_later(database):
    async with writing(database) as writer:
        async with away(database):
            for number in range(70):
                writer.append(row(f"{number:03d}"))
            await failed_once(database)
        await until_written(database, 70)
    assert len(await written(database)) == 70


async def failed_once(engine):
    """Wait until the writer has tried in vain."""
    failures = asyncio.Event()
    sa.event.listen(engine.sync_engine, "handle_error", lambda _: failures.set())
    async with asyncio.timeout(20):
        await failures.wait()


async def test_new_requests_are_refused_while_too_many_rows_wait(database):
    async with writing(database, max_queued_rows=3) as writer:
        async with away(database):
            writer.append(row("in hand"))
            await failed_once(database)
            for number in range(2):
                writer.append(row(f"{number}"))
            writer.check_room()
            writer.append(row("2"))
            with pytest.raises(Overloaded):
                writer.check_room()
        await until_written(database, 4)
        writer.check_room()


@pytest.mark.parametrize(
    "poison",
    [{"cost_nano_usd": 2**64}, {"created_at": "not a time"}, {"requested_model": None}],
    ids=["too large", "no time", "null"],
)
async def test_row_that_the_database_refuses_does_not_hold_up_the_others(database, poison):
    async with writing(database) as writer:
        writer.append(row("a"))
        writer.append(row("poison", **poison))
        writer.append(row("b"))
        await until_written(database, 2)
        writer.append(row("c"))
        await until_written(database, 3)
    assert await written(database) == ["a", "b", "c"]


async def test_text_that_postgresql_cannot_hold_does_not_hold_up_the_others(postgres):
    async with open_database(postgres) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
        await upgrade(engine)
        async with writing(engine) as writer:
            for generation_id, user in (("a", "x"), ("nul", "\x00"), ("long", "x" * 257), ("b", "y")):
                writer.append(row(generation_id, user=user))
        assert await written(engine) == ["a", "b"]


async def test_closing_gives_up_in_time_on_a_database_that_stays_away(database, monkeypatch):
    monkeypatch.setattr(ledger_module, "_FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(ledger_module, "_LAST_RETRY_SECONDS", 0.04)
    attempts = []
    sa.event.listen(database.sync_engine, "handle_error", lambda _: attempts.append(1))
    async with away(database), asyncio.timeout(20), writing(database) as writer:
        for number in range(64 * 10):
            writer.append(row(f"{number}"))
    # The first batch is tried for as long as an outage may last; the other nine once.
    assert len(attempts) <= 4 + 9


async def test_locked_sqlite_is_waited_for(tmp_path):
    import sqlite3

    async with open_database(f"sqlite:///{tmp_path}/p.db") as engine:
        await upgrade(engine)
        other = sqlite3.connect(tmp_path / "p.db")
        other.execute("BEGIN IMMEDIATE")
        async with writing(engine) as writer:
            writer.append(row("a"))
            assert await written(engine) == []
            other.rollback()
            await until_written(engine, 1)
        other.close()


# Keys


def key_record(key_id="k1", **fields):
    digest = key_id.encode().ljust(32)
    scopes = frozenset({KeyScope.INFERENCE, KeyScope.ADMIN})
    defaults = {"id": key_id, "tenant": "demo", "digest": digest, "scopes": scopes, "created_at": NOW}
    return KeyRecord(**{**defaults, **fields})


async def test_key_is_found_as_it_was_added(database):
    store = SqlKeyStore(database)
    record = key_record(models=frozenset({"a", "b"}), label="ops", expires_at=NOW + timedelta(days=1))
    await store.add(record)
    assert await store.find(record.digest) == record
    assert await store.find(b"x" * 32) is None


async def test_keys_are_listed_oldest_first(database):
    store = SqlKeyStore(database)
    for number in (2, 0, 1):
        await store.add(key_record(f"k{number}", created_at=NOW + timedelta(seconds=number)))
    assert [record.id for record in await store.all()] == ["k0", "k1", "k2"]


async def test_key_is_revoked_once(database):
    store = SqlKeyStore(database)
    record = key_record()
    await store.add(record)
    assert await store.revoke("k1", NOW) is True
    assert await store.revoke("k1", NOW + timedelta(days=1)) is False
    assert await store.revoke("unknown", NOW) is False
    assert (await store.find(record.digest)).revoked_at == NOW


async def test_store_that_is_away_says_so(engine):
    # No schema yet: the table is missing.
    with pytest.raises(KeyStoreUnavailable):
        await SqlKeyStore(engine).find(b"x" * 32)


async def test_created_key_is_kept_as_its_digest_only(database, tmp_path):
    keys = KeyAdministration(b"p" * 32, {"demo"}, SqlKeyStore(database))
    key, record = await keys.create(NewKey(tenant="demo", lifetime=timedelta(days=1)))
    assert record.expires_at - record.created_at == timedelta(days=1)
    assert key.split("_")[1] == record.id
    async with database.connect() as connection:
        stored = str((await connection.execute(sa.text("SELECT * FROM api_keys"))).all())
    assert key not in stored
    assert key.split("_")[2] not in stored
    assert [listed.id for listed in await keys.list()] == [record.id]
    assert await keys.revoke(record.id)


async def test_key_for_an_unknown_tenant_is_refused(database):
    keys = KeyAdministration(b"p" * 32, {"demo"}, SqlKeyStore(database))
    with pytest.raises(UnknownTenantError, match="demo"):
        await keys.create(NewKey(tenant="nobody"))

"""PostgreSQL hangs or dies under load: typed errors in time, nothing lost, and everything back by itself."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from penstock_common.errors import Overloaded
from penstock_common.sql.address import UNHURRIED, DatabaseLimits
from penstock_common.sql.database import open_database
from penstock_common.sql.postgresql import DatabaseUnavailable
from penstock_common.sql.schema import upgrade
from penstock_common.testing.postgres_server import PostgresServer, postgres_programs
from penstock_gateway.adapters.sql import ledger as ledger_module
from penstock_gateway.adapters.sql.keys import SqlKeyStore
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.access.look_ups import KeyStoreUnavailable
from penstock_gateway.domain.life.settlement import LedgerRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = DatabaseLimits(pool_size=3, connect_timeout=timedelta(seconds=1), statement_timeout=timedelta(seconds=1))
IN_TIME = 60
"""Seconds that nothing here may take, on a machine that stalls; without limits it would be for ever."""


@pytest.fixture(scope="module")
def fragile():
    try:
        postgres_programs()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with PostgresServer() as server:
        yield server


@pytest.fixture
def server(fragile):
    """A PostgreSQL that a test may break; it runs again afterwards."""
    yield fragile
    fragile.resume()
    fragile.start()


class Hang:
    """The server is stopped in its tracks: connections stay open, and nothing answers."""

    def __init__(self, server):
        self.begin, self.end = server.pause, server.resume


class Crash:
    """Every process of the server is killed; later it starts again."""

    def __init__(self, server):
        self.begin, self.end = server.crash, server.start


@pytest.fixture(params=[Hang, Crash], ids=["hangs", "dies"])
def fault(request, server):
    return request.param(server)


@pytest.fixture
def url(server):
    return server.create_database()


@pytest.fixture
async def engine(url):
    async with open_database(url, LIMITS) as engine:
        await upgrade(engine, GATEWAY)
        yield engine


@pytest.fixture
def rows(url):
    return WrittenRows(url)


class WrittenRows:
    """Read the ledger past the limits that a test is about: on a slow machine reading may take longer than they allow.

    Not for while the server is away.
    """

    def __init__(self, url):
        self._url = url

    async def ids(self):
        return await self._select(sa.select(ledger.c.generation_id).order_by(ledger.c.generation_id))

    async def count(self):
        return (await self._select(sa.select(sa.func.count()).select_from(ledger)))[0]

    async def until_at_least(self, count):
        async def reached():
            return await self.count() >= count

        await until_true(reached)

    async def _select(self, statement):
        async with open_database(self._url, UNHURRIED) as engine, engine.connect() as connection:
            return list((await connection.execute(statement)).scalars())


def row(generation_id):
    return LedgerRow(
        generation_id=generation_id, request_id="r", created_at=NOW, tenant="demo", key_id="k", surface="openai",
        requested_model="fast", outcome="ok",
    )  # fmt: skip


async def ask(engine):
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))


@asynccontextmanager
async def writing(engine, **options):
    writer = SqlLedger(engine, **options)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        yield writer
        writer.close()


async def until_true(condition):
    async with asyncio.timeout(IN_TIME):
        while not await condition():
            await asyncio.sleep(0.02)


async def until_back(engine):
    """Wait until the database answers again."""

    async def answers():
        try:
            await ask(engine)
        except (OSError, sa.exc.SQLAlchemyError):
            return False
        return True

    await until_true(answers)


# Keys


async def test_key_lookup_says_so_in_time_and_recovers(engine, fault):
    store = SqlKeyStore(engine)
    assert await store.find(b"x" * 32) is None
    fault.begin()
    async with asyncio.timeout(IN_TIME):
        for _ in range(3):
            with pytest.raises(KeyStoreUnavailable):
                await store.find(b"x" * 32)
    fault.end()
    await until_back(engine)
    assert await store.find(b"x" * 32) is None


async def test_lookups_do_not_queue_up_behind_a_database_that_is_away(engine, fault):
    store = SqlKeyStore(engine)
    fault.begin()
    # One after another they would take a connection's time each: half a minute and more.
    async with asyncio.timeout(IN_TIME):
        outcomes = await asyncio.gather(*(store.find(b"x" * 32) for _ in range(200)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {KeyStoreUnavailable}


async def test_one_attempt_at_a_time_while_the_server_hangs(server, engine):
    await ask(engine)
    server.pause()
    with pytest.raises(DatabaseUnavailable, match="did not answer within 1.5 s"):
        await ask(engine)
    outcomes = await asyncio.gather(*(ask(engine) for _ in range(10)), return_exceptions=True)
    assert {str(outcome).partition(" does ")[2] for outcome in outcomes} == {"not answer"}


# The ledger


async def test_ledger_under_load_loses_and_doubles_nothing(engine, rows, fault):
    numbers = itertools.count()

    async def append_until(ended):
        while not ended.is_set():
            for _ in range(20):
                writer.append(row(f"{next(numbers):06d}"))
            await asyncio.sleep(0.001)

    async with writing(engine) as writer, asyncio.TaskGroup() as group:
        ended = asyncio.Event()
        group.create_task(append_until(ended))
        await rows.until_at_least(500)
        fault.begin()
        with capture_logs() as logs:
            await until_true(lambda: logged(logs, "ledger_write_failed"))
        fault.end()
        await until_back(engine)
        await rows.until_at_least(await rows.count() + 500)
        ended.set()
    assert await rows.ids() == [f"{number:06d}" for number in range(next(numbers))]


async def logged(logs, event):
    return any(entry["event"] == event for entry in logs)


async def test_new_requests_are_refused_at_the_bound_and_what_waits_is_kept(engine, rows, fault):
    async with writing(engine, max_queued_rows=100) as writer:
        writer.append(row("first"))
        await rows.until_at_least(1)
        fault.begin()
        for number in range(200):
            writer.append(row(f"{number:03d}"))
        with pytest.raises(Overloaded):
            writer.check_room()
        with capture_logs() as logs:
            await until_true(lambda: logged(logs, "ledger_write_failed"))
        fault.end()
        await until_back(engine)
        await rows.until_at_least(201)
        writer.check_room()
    assert await rows.ids() == [*(f"{number:03d}" for number in range(200)), "first"]


async def test_commit_whose_answer_is_lost_is_made_once(server, engine, rows):
    # The server commits, and hangs before it says so.
    def freeze(connection):
        connection.execute(sa.text("SELECT 1"))
        sa.event.remove(engine.sync_engine, "commit", freeze)
        server.pause()

    async with writing(engine) as writer:
        writer.append(row("a"))
        await rows.until_at_least(1)
        sa.event.listen(engine.sync_engine, "commit", freeze)
        writer.append(row("b"))
        with capture_logs() as logs:
            await until_true(lambda: logged(logs, "ledger_write_failed"))
        server.resume()
        await until_back(engine)
        await rows.until_at_least(2)
    assert await rows.ids() == ["a", "b"]


async def test_closing_ends_in_time_and_leaves_the_rows_to_the_log(server, monkeypatch):
    monkeypatch.setattr(ledger_module, "_GIVE_UP_SECONDS", 0.5)
    async with asyncio.timeout(IN_TIME), open_database(server.create_database(), LIMITS) as engine:
        await upgrade(engine, GATEWAY)
        with capture_logs() as logs:
            async with writing(engine) as writer:
                server.pause()
                for number in range(1000):
                    writer.append(row(f"{number}"))
    lost = [kept["generation_id"] for entry in logs if entry["event"] == "ledger_rows_lost" for kept in entry["rows"]]
    assert lost == [f"{number}" for number in range(1000)]


async def test_closing_does_not_wait_for_a_server_that_hangs(server):
    async with asyncio.timeout(IN_TIME), open_database(server.create_database(), LIMITS) as engine:
        await ask(engine)
        server.pause()


# The gateway as a whole


async def test_gateway_says_503_for_keys_it_cannot_check_and_serves_those_it_knows(document, serve, server, fault):
    document["sql"] = server.create_database()
    document["gateway"] |= {"sql_connect_timeout": "1s", "sql_statement_timeout": "1s"}
    suite = await serve()
    assert (await suite.ask()).status == 200
    assert (await suite.ask(key="unknown-key-unknown-key")).status == 401
    fault.begin()
    async with asyncio.timeout(IN_TIME):
        refused = await suite.ask(key="unknown-key-unknown-key")
        served = await suite.ask()
    assert (refused.status, refused.error["code"], refused.header["retry-after"]) == (503, "service_unavailable", "1")
    assert served.status == 200
    fault.end()

    async def knows_again():
        return (await suite.ask(key="unknown-key-unknown-key")).status == 401

    await until_true(knows_again)
    await WrittenRows(document["sql"]).until_at_least(2)

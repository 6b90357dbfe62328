"""The ledger in real databases, the same on both engines."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from penstock_common.errors import Overloaded
from penstock_common.llm.types import UnitPrices, Usage
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade
from penstock_gateway.adapters.sql import ledger as ledger_module
from penstock_gateway.adapters.sql.ledger import SqlLedger, writing_ledger
from penstock_gateway.adapters.sql.ledger_rows import PostgresLedger, SqliteLedger, values_of
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.life.settlement import LedgerRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
    async with asyncio.timeout(60):
        while len(await written(engine)) < count:
            await asyncio.sleep(0.005)


@pytest.fixture
def commits(monkeypatch):
    """How many rows each transaction had that was committed."""
    sizes = []
    for table in (SqliteLedger, PostgresLedger):

        async def counted(self, rows, write=table.write):
            await write(self, rows)
            sizes.append(len(rows))

        monkeypatch.setattr(table, "write", counted)
    return sizes


async def test_rows_are_committed_in_batches_of_sixty_four(database, commits):
    async with writing(database) as writer:
        for number in range(200):
            writer.append(row(f"{number:03d}"))
    assert await written(database) == [f"{number:03d}" for number in range(200)]
    assert commits == [64, 64, 64, 8]


async def test_row_does_not_wait_for_others(database, commits):
    async with writing(database) as writer:
        writer.append(row("a"))
        await until_written(database, 1)
        writer.append(row("b"))
        await until_written(database, 2)
    assert commits == [1, 1]


async def test_row_written_twice_is_one_row_and_the_first_stays(database, commits):
    with capture_logs() as logs:
        async with writing(database) as writer:
            writer.append(row("a", cost_nano_usd=1))
            writer.append(row("a", cost_nano_usd=2))
            await until_written(database, 1)
            writer.append(row("a", cost_nano_usd=3))
            writer.append(row("b"))
    # A repeat is no fault of the row's: nothing is lost, and its neighbours are not written one by one.
    assert (logs, commits) == ([], [2, 2])
    async with database.connect() as connection:
        result = await connection.execute(sa.select(ledger.c.cost_nano_usd).where(ledger.c.generation_id == "a"))
        assert list(result.scalars()) == [1]
    assert await written(database) == ["a", "b"]


async def test_batch_whose_commit_was_answered_by_nobody_is_written_once(database, monkeypatch):
    """The database took it, and the connection was lost before it said so: the whole batch comes again."""
    monkeypatch.setattr(ledger_module, "_FIRST_RETRY_SECONDS", 0.0)
    kind = type(SqlLedger(database)._table)
    write, calls = kind.write, []

    async def answered_by_nobody(self, rows):
        await write(self, rows)
        calls.append(len(rows))
        if len(calls) == 1:
            raise OSError("lost")

    monkeypatch.setattr(kind, "write", answered_by_nobody)
    with capture_logs() as logs:
        async with writing(database) as writer:
            for number in range(10):
                writer.append(row(f"{number}", cost_nano_usd=number))
    assert [entry["event"] for entry in logs] == ["ledger_write_failed"]
    assert calls == [10, 10]
    assert await written(database) == [f"{number}" for number in range(10)]


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
        async with away(database), failing_once():
            for number in range(70):
                writer.append(row(f"{number:03d}"))
        await until_written(database, 70)
    assert len(await written(database)) == 70


@asynccontextmanager
async def failing_once():
    """Leave the block once the writer has tried in vain."""
    with capture_logs() as logs:
        yield
        async with asyncio.timeout(60):
            while not any(entry["event"] == "ledger_write_failed" for entry in logs):
                await asyncio.sleep(0.002)


async def test_new_requests_are_refused_while_too_many_rows_wait(database):
    async with writing(database, max_queued_rows=3) as writer:
        async with away(database):
            async with failing_once():
                writer.append(row("in hand"))
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
    async with open_database(postgres.create_database()) as engine:
        await upgrade(engine, GATEWAY)
        async with writing(engine) as writer:
            for generation_id, user in (("a", "x"), ("nul", "\x00"), ("long", "x" * 257), ("b", "y")):
                writer.append(row(generation_id, user=user))
        assert await written(engine) == ["a", "b"]


async def test_closing_gives_up_in_time_on_a_database_that_stays_away(database, monkeypatch):
    monkeypatch.setattr(ledger_module, "_GIVE_UP_SECONDS", 0.0)
    async with away(database), asyncio.timeout(60):
        with capture_logs() as logs:
            async with writing(database) as writer:
                for number in range(64 * 10):
                    writer.append(row(f"{number}"))
    # Each attempt may take as long as a statement may.
    assert [entry["event"] for entry in logs].count("ledger_write_failed") == 1
    lost = [kept["generation_id"] for entry in logs if entry["event"] == "ledger_rows_lost" for kept in entry["rows"]]
    assert lost == [f"{number}" for number in range(64 * 10)]


async def test_locked_sqlite_is_waited_for(tmp_path):
    async with open_database(f"sqlite:///{tmp_path}/p.db") as engine:
        await upgrade(engine, GATEWAY)
        other = sqlite3.connect(tmp_path / "p.db")
        other.execute("BEGIN IMMEDIATE")
        async with writing(engine) as writer:
            writer.append(row("a"))
            assert await written(engine) == []
            other.rollback()
            await until_written(engine, 1)
        other.close()


async def test_row_has_in_sqlite_the_form_that_sqlalchemy_gives_it(tmp_path):
    """Both write the same file: older versions did, and administration does."""
    rows = [
        row(
            "a",
            usage=Usage(input_tokens=1, estimated=True),
            time_to_first_token_ms=1,
            duration_ms=2.5,
            tags={"ä": "\x00"},
        ),
        row("b", created_at=NOW.replace(microsecond=123456), overhead_ms=1e-9, user="\U0001f600", cost_nano_usd=2**62),
        row("c", created_at=NOW.replace(year=999, microsecond=5), finish_reason="stop"),
    ]
    async with open_database(f"sqlite:///{tmp_path}/p.db") as engine:
        await upgrade(engine, GATEWAY)
        async with writing(engine) as writer:
            for each in rows:
                writer.append(each)
        async with engine.begin() as connection:
            others = [{**values_of(each), "generation_id": f"other {each.generation_id}"} for each in rows]
            await connection.execute(ledger.insert(), others)
    with sqlite3.connect(tmp_path / "p.db") as database:
        kept = {name: fields for name, *fields in database.execute("SELECT * FROM ledger")}
        types = ", ".join(f"typeof({column.name!r})".replace("'", '"') for column in ledger.columns)
        kinds = {name: fields for name, *fields in database.execute(f"SELECT generation_id, {types} FROM ledger")}
    database.close()
    for name in "abc":
        assert kept[name] == kept[f"other {name}"]
        assert kinds[name] == kinds[f"other {name}"]


async def test_error_that_ends_the_ledgers_users_does_not_end_it_before_its_rows_are_written(database):
    with pytest.raises(ZeroDivisionError):
        async with writing_ledger(database, 100) as writer:
            for number in range(100):
                writer.append(row(f"{number:03d}"))
            raise ZeroDivisionError
    assert len(await written(database)) == 100


async def test_rows_that_are_not_written_when_closing_is_cancelled_go_to_the_log(database, monkeypatch):
    # Whoever cancels does not wait for the time that the database has otherwise.
    monkeypatch.setattr(ledger_module, "_GIVE_UP_SECONDS", 3600.0)
    closing = asyncio.Event()

    async def use():
        async with writing_ledger(database, 100) as writer:
            async with failing_once():
                writer.append(row("a"))
            closing.set()

    async with away(database):
        with capture_logs() as logs:
            using = asyncio.create_task(use())
            await closing.wait()
            using.cancel()
            await asyncio.wait((using,))
    assert using.cancelled()
    lost = [kept["generation_id"] for entry in logs if entry["event"] == "ledger_rows_lost" for kept in entry["rows"]]
    assert lost == ["a"]


async def test_writer_that_fails_is_seen_by_those_who_leave_and_loses_nothing(database, monkeypatch):
    async def broken(self):
        raise OSError("the file is gone")

    monkeypatch.setattr(type(SqlLedger(database)._table), "__aenter__", broken)
    with capture_logs() as logs, pytest.raises(OSError, match="the file is gone"):
        async with writing_ledger(database, 100) as writer:
            writer.append(row("a"))
    assert [kept["generation_id"] for entry in logs for kept in entry["rows"]] == ["a"]


async def test_error_in_a_group_around_the_ledger_costs_no_row(database):
    """The ledger outlives whatever the group cancels; rows of requests that end meanwhile are written, too."""
    with pytest.raises(ExceptionGroup):
        async with writing_ledger(database, 1000) as writer, asyncio.TaskGroup() as group:

            async def request(number):
                try:
                    await asyncio.Event().wait()
                finally:
                    writer.append(row(f"{number:03d}"))

            async def fail():
                raise OSError

            for number in range(100):
                group.create_task(request(number))
            await asyncio.sleep(0)
            group.create_task(fail())
    assert len(await written(database)) == 100


async def test_rows_of_a_writer_that_is_cancelled_go_to_the_log(database):
    writer = SqlLedger(database)
    async with away(database):
        with capture_logs() as logs:
            run = asyncio.create_task(writer.run())
            async with failing_once():
                for number in range(70):
                    writer.append(row(f"{number:03d}"))
            run.cancel()
            await asyncio.wait((run,))
            writer.append(row("late"))
    assert run.cancelled()
    lost = [kept["generation_id"] for entry in logs if entry["event"] == "ledger_rows_lost" for kept in entry["rows"]]
    assert lost == [*(f"{number:03d}" for number in range(70)), "late"]
    assert writer.waiting == 0


async def test_rows_of_a_refused_batch_are_logged_once_where_the_database_goes_away_meanwhile(database, monkeypatch):
    """The first row is written by itself, the second is the one at fault, and then the table is gone."""
    monkeypatch.setattr(ledger_module, "_GIVE_UP_SECONDS", 0.0)
    kind = type(SqlLedger(database)._table)
    write, calls = kind.write, []

    async def failing_later(self, rows):
        calls.append(len(rows))
        if len(calls) > 3:
            raise OSError("away")
        await write(self, rows)

    monkeypatch.setattr(kind, "write", failing_later)
    with capture_logs() as logs:
        async with writing(database) as writer:
            for name, fields in (("a", {}), ("poison", {"requested_model": None}), ("b", {}), ("c", {})):
                writer.append(row(name, **fields))
    lost = [[kept["generation_id"] for kept in e["rows"]] for e in logs if e["event"] == "ledger_rows_lost"]
    assert lost == [["poison"], ["b", "c"]]
    assert await written(database) == ["a"]


async def test_thread_of_a_ledger_in_sqlite_ends_with_it(tmp_path):
    async with open_database(f"sqlite:///{tmp_path}/p.db") as engine:
        await upgrade(engine, GATEWAY)
        async with writing(engine) as writer:
            writer.append(row("a"))
            await until_written(engine, 1)
            assert "sqlite" in {thread.name for thread in threading.enumerate()}
        async with asyncio.timeout(60):
            while "sqlite" in {thread.name for thread in threading.enumerate()}:
                await asyncio.sleep(0.001)

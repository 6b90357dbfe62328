"""The ledger in real databases, the same on both engines."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from penstock_common.errors import Overloaded
from penstock_common.llm.types import UnitPrices, Usage
from penstock_gateway.adapters.sql import ledger as ledger_module
from penstock_gateway.adapters.sql.database import open_database, upgrade
from penstock_gateway.adapters.sql.ledger import SqlLedger
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
    async with open_database(postgres.create_database()) as engine:
        await upgrade(engine)
        async with writing(engine) as writer:
            for generation_id, user in (("a", "x"), ("nul", "\x00"), ("long", "x" * 257), ("b", "y")):
                writer.append(row(generation_id, user=user))
        assert await written(engine) == ["a", "b"]


async def test_closing_gives_up_in_time_on_a_database_that_stays_away(database, monkeypatch):
    monkeypatch.setattr(ledger_module, "_GIVE_UP_SECONDS", 0.0)
    attempts = []
    sa.event.listen(database.sync_engine, "handle_error", lambda _: attempts.append(1))
    async with away(database), asyncio.timeout(20):
        with capture_logs() as logs:
            async with writing(database) as writer:
                for number in range(64 * 10):
                    writer.append(row(f"{number}"))
    # Each attempt may take as long as a statement may.
    assert len(attempts) == 1
    lost = [kept["generation_id"] for entry in logs if entry["event"] == "ledger_rows_lost" for kept in entry["rows"]]
    assert lost == [f"{number}" for number in range(64 * 10)]


async def test_locked_sqlite_is_waited_for(tmp_path):
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

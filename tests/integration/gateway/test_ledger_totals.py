"""Rows that go leave their sums: whatever is cut, whenever and by whom, no sum over the ledger changes. On both engines."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from penstock_common.llm.types import Usage
from penstock_gateway.adapters.sql.history import SqlHistory
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.spend import SqlSpendHistory
from penstock_gateway.adapters.sql.tables import ledger, ledger_totals
from penstock_gateway.adapters.sql.totals import AMOUNTS, DIMENSIONS
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.limits.limit import TENANT
from penstock_gateway.domain.limits.windows import EVER

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)


def rows(chance, count):
    return [
        LedgerRow(
            generation_id=f"g{number}",
            request_id="r",
            created_at=MIDNIGHT - timedelta(seconds=chance.randrange(4 * 86_400)),
            tenant=chance.choice(["acme", "other"]),
            team=chance.choice(["", "red", "blü"]),
            user_id=chance.choice(["", "ann"]),
            key_id=chance.choice(["k", "l"]),
            surface=chance.choice(["openai", "grpc"]),
            requested_model=chance.choice(["fast", "smart"]),
            upstream=chance.choice(["", "first"]),
            model="m1",
            feature=chance.choice(["", "rag"]),
            outcome=chance.choice(["ok", "ok", "cancelled"]),
            usage=Usage(input_tokens=chance.randrange(9000), output_tokens=chance.randrange(900)),
            cost_nano_usd=chance.randrange(2**45),
            saved_nano_usd=chance.randrange(2**30),
        )
        for number in range(count)
    ]


async def sums(database, *dimensions):
    """Return requests and sums by some dimensions, of rows and totals together."""
    columns = [*dimensions, *AMOUNTS]
    of_rows = sa.select(sa.literal(1).label("requests"), *(ledger.c[name] for name in columns))
    kept = sa.select(ledger_totals.c.requests, *(ledger_totals.c[name] for name in columns))
    every = of_rows.union_all(kept).subquery()
    by = [every.c[name] for name in dimensions]
    query = sa.select(*by, *(sa.func.sum(every.c[name]) for name in ("requests", *AMOUNTS))).group_by(*by).order_by(*by)
    async with database.connect() as connection:
        return [tuple(map(str, row)) for row in (await connection.execute(query)).all()]


async def write(database, written):
    async with ledger_table(database) as table:
        await table.write(written)


@pytest.mark.parametrize("seed", range(3))
async def test_no_sum_changes_whatever_is_cut(database, seed):
    chance = random.Random(seed)
    await write(database, rows(chance, 300))
    history = SqlHistory.of_ledger(database)
    groups = [(), ("tenant", "team"), ("requested_model", "feature"), DIMENSIONS]
    before = [await sums(database, *group) for group in groups]
    spent = await SqlSpendHistory(database).spent("acme", TENANT, EVER)
    for _ in range(4):
        until = MIDNIGHT - timedelta(seconds=chance.randrange(4 * 86_400))
        await history.cut(until, chance.randrange(1, 120), exported_only=False)
        assert [await sums(database, *group) for group in groups] == before
    while await history.cut(MIDNIGHT + timedelta(days=1), 50, exported_only=False):
        pass
    assert [await sums(database, *group) for group in groups] == before
    assert await SqlSpendHistory(database).spent("acme", TENANT, EVER) == spent
    async with database.connect() as connection:
        assert (await connection.execute(sa.select(sa.func.count()).select_from(ledger))).scalar() == 0


async def test_processes_that_cut_at_once_keep_each_row_once(database):
    await write(database, rows(random.Random(7), 120))
    before = await sums(database)
    await asyncio.gather(*(SqlHistory.of_ledger(database).cut(MIDNIGHT, 15, exported_only=False) for _ in range(6)))
    assert await sums(database) == before


async def test_rows_stay_where_their_totals_cannot_be_kept(database):
    await write(database, rows(random.Random(7), 20))
    before = await sums(database)
    async with database.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE ledger_totals RENAME TO away"))
    with pytest.raises(sa.exc.SQLAlchemyError):
        await SqlHistory.of_ledger(database).cut(MIDNIGHT, 500, exported_only=False)
    async with database.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE away RENAME TO ledger_totals"))
    assert await sums(database) == before


async def test_failed_requests_are_counted(database):
    written = rows(random.Random(7), 60)
    await write(database, written)
    await SqlHistory.of_ledger(database).cut(MIDNIGHT, 500, exported_only=False)
    async with database.connect() as connection:
        columns = [sa.func.sum(ledger_totals.c[name]) for name in ("requests", "errors")]
        requests, errors = (await connection.execute(sa.select(*columns))).one()
    assert (int(requests), int(errors)) == (60, sum(row.outcome != "ok" for row in written))


async def test_amounts_of_a_row_cannot_be_changed_and_who_exported_it_can(database):
    await write(database, rows(random.Random(7), 2))
    for column in ("cost_nano_usd", "input_tokens", "created_at", "tenant", "output_price_nano_usd"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            async with database.begin() as connection:
                await connection.execute(sa.text(f"UPDATE ledger SET {column} = {column}"))
    async with database.begin() as connection:
        changed = await connection.execute(sa.update(ledger).values(exported_at=MIDNIGHT))
    assert changed.rowcount == 2

"""What was spent, out of the ledger: by scope and period, with rows on their way, and with what is left of old ones."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from penstock_gateway.adapters.sql.history import SqlHistory
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.spend import COLUMN_OF, SqlSpendHistory
from penstock_gateway.domain.life.settlement import NO_PART, LedgerRow, Part
from penstock_gateway.domain.limits.limit import TENANT, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER, Window, WindowKind, period_of

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
NEW_YORK = Window(WindowKind.DAY, zone="America/New_York")


def row(number, **fields):
    return LedgerRow(
        **{
            "generation_id": f"g{number:06}", "request_id": "r", "created_at": NOON, "tenant": "acme", "key_id": "k",
            "surface": "openai", "requested_model": "fast", "outcome": "ok", "cost_nano_usd": 1, **fields,
        }
    )  # fmt: skip


async def write(database, rows):
    async with ledger_table(database) as table:
        await table.write(rows)


async def test_nothing_was_spent_where_nothing_is(database):
    assert await SqlSpendHistory(database).spent("acme", TENANT, EVER) == 0


async def test_sums_are_those_of_the_rows_of_a_scope_in_a_period(database):
    chance = random.Random(14)
    rows = [
        row(
            number,
            tenant=chance.choice(["acme", "other"]),
            team=chance.choice(["", "red", "blue"]),
            user_id=chance.choice(["", "ann"]),
            key_id=chance.choice(["k", "l"]),
            requested_model=chance.choice(["fast", "smart"]),
            feature=chance.choice(["", "rag"]),
            created_at=NOON + timedelta(minutes=chance.randrange(-3000, 3000)),
            cost_nano_usd=chance.randrange(2**40),
        )
        for number in range(300)
    ]
    await write(database, rows)
    history, period = SqlSpendHistory(database), period_of(NEW_YORK, NOON)
    assert period.end - period.start == timedelta(hours=25)
    scopes = [TENANT, *(Scope(kind, name) for kind in COLUMN_OF for name in ("red", "ann", "l", "smart", "rag"))]
    found = 0
    for scope in scopes:
        for when in (EVER, period):
            wanted = sum(
                each.cost_nano_usd
                for each in rows
                if each.tenant == "acme"
                and when.start <= each.created_at < when.end
                and (scope is TENANT or getattr(each, COLUMN_OF[scope.kind]) == scope.name)
            )
            assert await history.spent("acme", scope, when) == wanted
            found += wanted > 0
    assert found == 12


@pytest.mark.parametrize(("edge", "counts"), [("start", True), ("end", False)])
async def test_period_begins_with_its_first_moment_and_ends_before_its_last(database, edge, counts):
    period = period_of(NEW_YORK, NOON)
    await write(database, [row(1, created_at=getattr(period, edge), cost_nano_usd=5)])
    assert await SqlSpendHistory(database).spent("acme", TENANT, period) == 5 * counts


async def test_row_that_waits_counts_once_before_and_after_it_is_written(database):
    writer = SqlLedger(database)
    history = SqlSpendHistory(database, writer)
    for number in range(3):
        writer.append(row(number, cost_nano_usd=10, team="red" if number else ""))
    writer.append(row(9, tenant="other"))
    red = Scope(ScopeKind.TEAM, "red")
    assert (await history.spent("acme", TENANT, EVER), await history.spent("acme", red, EVER)) == (30, 20)
    # Committed, and the writer does not know it yet.
    await write(database, writer.unwritten_rows()[:2])
    assert (await history.spent("acme", TENANT, EVER), await history.spent("acme", red, EVER)) == (30, 20)
    writer.close()
    await writer.run()
    assert not writer.unwritten_rows()
    assert (await history.spent("acme", TENANT, EVER), await history.spent("acme", red, EVER)) == (30, 20)


async def test_answers_of_shadows_are_in_no_sum(database):
    writer = SqlLedger(database)
    shadow = Part(experiment="e", variant="v", shadow=True)
    await write(database, [row(1, cost_nano_usd=3), row(2, part=shadow)])
    for number in (3, 4):
        writer.append(row(number, cost_nano_usd=4, part=shadow if number == 4 else NO_PART))
    history = SqlSpendHistory(database, writer)
    assert await history.spent("acme", TENANT, EVER) == 7
    await SqlHistory.of_ledger(database).cut(NOON + timedelta(days=1), 9, exported_only=False)
    assert await history.spent("acme", TENANT, EVER) == 7

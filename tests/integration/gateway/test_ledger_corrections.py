"""The ledger is corrected by entries of its own: what was written stays, sums are right. On both engines."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from penstock_common.errors import InvalidRequest, ResourceExists, ResourceNotFound
from penstock_common.llm.types import UnitPrices, Usage
from penstock_gateway.adapters.sql.entries import SqlEntryBook
from penstock_gateway.adapters.sql.history import SqlHistory
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.spend import SqlSpendHistory
from penstock_gateway.adapters.sql.tables import ledger, ledger_totals
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.ledger.corrections import Charged, Correction, Corrections, Right
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.limits.limit import TENANT, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER, Period

OCTOBER = datetime(2026, 10, 5, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 3, tzinfo=UTC)
OPERATOR = Actor.at_the_command_line("ann")
ROW = LedgerRow(
    generation_id="gen-1", request_id="r", created_at=OCTOBER, tenant="acme", key_id="k", surface="openai",
    requested_model="fast", outcome="ok", upstream="first", model="m1", team="red", user_id="u1", feature="rag",
    usage=Usage(input_tokens=1000, output_tokens=500, cached_input_tokens=200),
    unit_prices=UnitPrices(1_000_000_000, 100_000_000, 2_000_000_000), cost_nano_usd=1_820_000, tags={"a": "b"},
)  # fmt: skip


class Follows:
    """Notes whose counters were to follow."""

    def __init__(self):
        self.tenants = []

    async def follow(self, tenant):
        self.tenants.append(tenant)


@pytest.fixture
def follows():
    return Follows()


@pytest.fixture
async def corrections(database, follows):
    async with ledger_table(database) as table:
        await table.write([ROW])
    return Corrections(SqlEntryBook(database), SqlRegistry(database), follows, lambda: NOVEMBER)


async def rows(database):
    async with database.connect() as connection:
        query = sa.select(ledger).order_by(ledger.c.generation_id)
        return [dict(row) for row in (await connection.execute(query)).mappings()]


async def audited(database):
    async with SqlRegistry(database).begin() as records:
        return [(one.action, one.tenant, one.target, one.outcome) for one in await records.entries(None, None, 9)]


async def test_right_cost_makes_an_entry_of_the_difference_and_leaves_the_row(database, corrections, follows):
    (before,) = await rows(database)
    made = await corrections.correct(OPERATOR, "gen-1", Right(cost_nano_usd=1_000_000), "INC-7")
    assert (made.cost_nano_usd, made.usage) == (-820_000, Usage())
    first, entry = await rows(database)
    assert first == before
    assert (entry["generation_id"], entry["kind"], entry["corrects"]) == ("gen-1~1", "correction", "gen-1")
    assert (entry["reason"], entry["corrected_by"]) == ("INC-7", "ann")
    whose = (
        "tenant",
        "team",
        "user_id",
        "key_id",
        "requested_model",
        "upstream",
        "model",
        "feature",
        "surface",
        "tags",
    )
    assert {name: entry[name] for name in whose} == {name: first[name] for name in whose}
    assert await audited(database) == [("ledger.correct", "acme", "gen-1", "ok")]
    assert follows.tenants == ["acme"]


async def test_right_tokens_cost_what_the_rows_own_prices_make_of_them(database, corrections):
    made = await corrections.correct(OPERATOR, "gen-1", Right(output_tokens=300), "the provider's bill")
    assert (made.usage, made.cost_nano_usd) == (Usage(output_tokens=-200), -400_000)


async def test_correction_of_a_corrected_row_is_of_what_it_has_come_to(corrections):
    await corrections.correct(OPERATOR, "gen-1", Right(cost_nano_usd=0), "a gift")
    again = await corrections.correct(OPERATOR, "gen-1", Right(cost_nano_usd=70), "not so")
    assert (again.id, again.cost_nano_usd) == ("gen-1~2", 70)
    with pytest.raises(InvalidRequest, match="nothing to correct"):
        await corrections.correct(OPERATOR, "gen-1", Right(cost_nano_usd=70), "twice")


async def test_sums_have_it_in_its_own_period_and_scope(database, corrections):
    await corrections.correct(OPERATOR, "gen-1", Right(cost_nano_usd=0), "refunded")
    history = SqlSpendHistory(database)
    october, november = (Period(day - timedelta(days=1), day + timedelta(days=1)) for day in (OCTOBER, NOVEMBER))
    assert await history.spent("acme", TENANT, october) == 1_820_000
    assert await history.spent("acme", TENANT, november) == -1_820_000
    for scope in (TENANT, Scope(ScopeKind.TEAM, "red"), Scope(ScopeKind.USER, "u1"), Scope(ScopeKind.MODEL, "fast")):
        assert await history.spent("acme", scope, EVER) == 0
    await SqlHistory.of_ledger(database).cut(NOVEMBER + timedelta(days=1), 10, exported_only=False)
    assert await history.spent("acme", TENANT, EVER) == 0
    async with database.connect() as connection:
        columns = [ledger_totals.c[name] for name in ("requests", "errors", "cost_nano_usd")]
        kept = (await connection.execute(sa.select(*columns).order_by(ledger_totals.c.created_at))).all()
    assert [tuple(row) for row in kept] == [(1, 0, 1_820_000), (0, 0, -1_820_000)]


@pytest.mark.parametrize(
    ("generation", "right", "reason", "error", "words"),
    [
        ("gen-1", Right(cost_nano_usd=1), " ", InvalidRequest, "Say why"),
        ("gen-1", Right(cost_nano_usd=1), "x" * 257, InvalidRequest, "longer than 256"),
        ("gen-1", Right(), "why", InvalidRequest, "Say what is right"),
        ("gen-1", Right(cost_nano_usd=-1), "why", InvalidRequest, "none that a request comes to"),
        ("gen-1", Right(input_tokens=100), "why", InvalidRequest, "cannot be more"),
        ("gen-2", Right(cost_nano_usd=1), "why", ResourceNotFound, "no row of the generation 'gen-2'"),
        ("gen-1~1", Right(cost_nano_usd=1), "why", ResourceNotFound, "no row of the generation"),
    ],
)
async def test_what_cannot_be_is_refused_and_noted(database, corrections, generation, right, reason, error, words):
    with pytest.raises(error, match=words):
        await corrections.correct(OPERATOR, generation, right, reason)
    assert len(await rows(database)) == 1
    ((action, _, target, outcome),) = await audited(database)
    assert (action, target, outcome == "ok") == ("ledger.correct", generation, False)


async def test_of_corrections_that_are_made_at_once_one_is(database, corrections):
    book = SqlEntryBook(database)
    looked_at = await book.charged("gen-1")
    assert looked_at == Charged(
        generation_id="gen-1", tenant="acme", usage=ROW.usage, unit_prices=ROW.unit_prices, cost_nano_usd=1_820_000
    )
    entry = Correction(
        id="gen-1~1", corrects="gen-1", tenant="acme", created_at=NOVEMBER, usage=Usage(), cost_nano_usd=-1,
        reason="why", corrected_by="ann",
    )  # fmt: skip
    made = await asyncio.gather(*(book.append(entry) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in made if one is not None] == [ResourceExists] * 2
    assert len(await rows(database)) == 2

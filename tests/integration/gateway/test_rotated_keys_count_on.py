"""A rotated key stands where the older one stood: in the same counters, in the same budget, in the same sum of the ledger."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from penstock.gateway.v1 import budget_service_pb2, budget_service_pb2_grpc
from penstock_common.testing.openai_upstream import Answer
from penstock_gateway.adapters.sql.budgets.records import SqlBudgets
from penstock_gateway.adapters.sql.budgets.schema import BUDGETS
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.spend import SqlSpendHistory
from penstock_gateway.domain.access.identity import Caller, KeyRecord, KeyScope, Tenant, Tier
from penstock_gateway.domain.budgets.book import BudgetBook
from penstock_gateway.domain.budgets.budget import Budget
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator  # noqa: E402

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
DOLLAR = 1_000_000_000
CHAIN = {"k1": "", "k2": "k1", "k3": "k1", "other": ""}


def key(name, first_id):
    scopes = frozenset({KeyScope.INFERENCE})
    return KeyRecord(name, "acme", name.encode() * 16, scopes, created_at=NOW, first_id=first_id)


def row(key_id, dollars):
    return LedgerRow(
        generation_id=f"g-{key_id}", request_id="r", created_at=NOW, tenant="acme", key_id=key_id, surface="openai",
        requested_model="fast", outcome="ok", cost_nano_usd=dollars * DOLLAR,
    )  # fmt: skip


@pytest.fixture
async def database(database):
    """A database with a key that was rotated twice, and another."""
    async with database.begin() as connection:
        await connection.run_sync(BUDGETS.metadata.create_all)
    async with SqlRegistry(database).begin() as records:
        for name, first_id in CHAIN.items():
            await records.add_key(key(name, first_id))
    return database


async def test_what_a_key_has_spent_is_what_its_successors_have(database):
    async with writing_ledger(database, 100) as ledger:
        for dollars, name in enumerate(CHAIN, start=1):
            ledger.append(row(name, dollars))
        # Whether they are written yet or wait to be.
        history = SqlSpendHistory(database, ledger)
        assert await history.spent("acme", Scope(ScopeKind.KEY, "k1"), EVER) == 6 * DOLLAR
    history = SqlSpendHistory(database)
    sums = [await history.spent("acme", Scope(ScopeKind.KEY, name), EVER) // DOLLAR for name in CHAIN]
    assert sums == [6, 2, 3, 4]


@pytest.mark.parametrize("named", ["k1", "k2", "k3"])
@pytest.mark.parametrize("is_configured", [True, False])
async def test_a_budget_is_of_the_whole_family_whichever_of_its_keys_it_names(database, named, is_configured):
    limits, scope = LimitBook(), Scope(ScopeKind.KEY, named)
    budget = Budget(tenant="acme", name="b", scope=scope, amount=DOLLAR, is_configured=is_configured, made_at=NOW)
    if not is_configured:
        async with SqlRegistry(database).begin() as records:
            await records.budgets.add(budget)
    book = BudgetBook(SqlBudgets(database), limits, [budget] if is_configured else [], now=lambda: NOW)
    await book.renew()
    tenant = Tenant("acme", Tier("none"))
    found = {
        name: limits.limits_of(Caller(tenant, name, frozenset(), first_key_id=first), "fast")
        for name, first in CHAIN.items()
    }
    assert {name: len(each) for name, each in found.items()} == {"k1": 1, "k2": 1, "k3": 1, "other": 0}
    assert len({each[0].counter for each in found.values() if each}) == 1


async def test_keys_that_were_rotated_before_are_found_together(engine):
    values = {"tenant": "acme", "label": "", "scopes": "[]", "models": "[]", "created_at": NOW.isoformat()}
    async with engine.begin() as connection:
        await connection.run_sync(GATEWAY.upgrade_to, "0013")
        for name, replaced_by in (("k3", None), ("k1", "k2"), ("k2", "k3"), ("other", None)):
            columns = {**values, "id": name, "digest": name.encode(), "replaced_by": replaced_by, "created_at": NOW}
            text = f"INSERT INTO api_keys ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"
            await connection.execute(sa.text(text), columns)
        await connection.run_sync(GATEWAY.upgrade_to, "0015")
        rows = (await connection.execute(sa.text("SELECT id, first_id FROM api_keys ORDER BY id"))).all()
    assert [tuple(one) for one in rows] == [("k1", None), ("k2", "k1"), ("k3", "k1"), ("other", None)]


async def test_rotating_refills_neither_a_keys_limits_nor_its_budget(serve, document, upstream):
    tier = {"requests_per_minute": 1000, "each_key": {"requests_per_day": 100}}
    document["tenants"][0]["tier"] = tier
    document["cache"]["mode"] = "off"
    document["budget_watch"] = {"refresh": "50ms"}
    for each in document["upstreams"]:
        each["models"][0]["price"] = {"input": 0, "output": 10}
    upstream.otherwise = lambda _: Answer(tokens=["word "] * 40)
    suite = await serve()
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    made = await operator.CreateKey(tenant="demo", scopes=["KEY_SCOPE_INFERENCE"])
    budgets = budget_service_pb2_grpc.BudgetServiceStub(suite.channel)
    budget = {
        "tenant": "demo", "name": "b", "scope_kind": "BUDGET_SCOPE_KIND_KEY", "scope_name": made.key.id,
        "amount_nano_usd": 700_000, "period": "BUDGET_PERIOD_MONTH", "kind": "BUDGET_KIND_HARD",
    }  # fmt: skip
    authorized = (("authorization", f"Bearer {suite.OPERATOR_KEY}"),)
    await budgets.CreateBudget(budget_service_pb2.CreateBudgetRequest(budget=budget), metadata=authorized)
    first = await suite.ask(max_tokens=40, key=made.secret)
    assert (first.status, first.header["x-ratelimit-remaining-requests"]) == (200, "99")
    rotated = await operator.RotateKey(id=made.key.id)
    second = await suite.ask(max_tokens=40, key=rotated.secret)
    assert second.error["code"] == "budget_exceeded"
    assert second.header["x-ratelimit-remaining-requests"] == "99"
    explain = budget_service_pb2.ExplainLimitsRequest(key_id=rotated.key.id, model="fast")
    told = await budgets.ExplainLimits(explain, metadata=authorized)
    used = {one.name: one.used for one in told.limits}
    # Of a thousand a minute one is there again after 60 ms.
    assert used.pop("requests_per_minute") <= 1
    assert used == {"requests_per_day": 1, "b": 400_000}

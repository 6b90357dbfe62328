"""Budgets over several processes, on both engines: what each of them knows, who is told, and how often."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa

from penstock_common.errors import ResourceExists
from penstock_common.sql.schema import require_current, upgrade
from penstock_gateway.adapters.sql.budgets.alerts import SqlAlerts
from penstock_gateway.adapters.sql.budgets.records import SqlBudgets
from penstock_gateway.adapters.sql.budgets.schema import BUDGETS
from penstock_gateway.adapters.sql.budgets.tables import alerts as alerts_table
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.spend import SqlSpendHistory
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.adapters.sql.webhooks.store import KEPT, SqlDeliveries
from penstock_gateway.domain.access.identity import TenantRecord
from penstock_gateway.domain.budgets.book import BudgetBook
from penstock_gateway.domain.budgets.budget import AlertRule, Budget, BudgetKind, Grace
from penstock_gateway.domain.budgets.refused import RefusedBudgets
from penstock_gateway.domain.budgets.standing import LedgerStandings
from penstock_gateway.domain.budgets.watching import Watcher, WatchParts
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.limits.admission import Demand, Standing, Verdict
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER, WindowKind, period_of
from penstock_gateway.domain.webhooks.delivery import Delivery, DeliveryState

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
EVERY = timedelta(seconds=10)
DOLLAR = 1_000_000_000


@pytest.fixture
async def database(database):
    """The engine of a database that has budgets' tables, too."""
    async with database.begin() as connection:
        for schema in (BUDGETS, WEBHOOKS):
            await connection.run_sync(schema.metadata.create_all)
    return database


def budget(**changes):
    whole = {"tenant": "acme", "name": "month", "amount": 10 * DOLLAR, "made_by": "op", "made_at": NOW}
    return Budget(**whole | changes)


def row(number, dollars, **changes):
    whole = {
        "generation_id": f"g{number}",
        "request_id": "r",
        "created_at": NOW,
        "tenant": "acme",
        "key_id": "k",
        "surface": "openai",
        "requested_model": "fast",
        "outcome": "ok",
        "cost_nano_usd": int(dollars * DOLLAR),
    }
    return LedgerRow(**whole | changes)


async def spend(database, *rows):
    async with writing_ledger(database, 1000) as ledger:
        for one in rows:
            ledger.append(one)


class Seen:
    """What an observer hears."""

    def __init__(self):
        self.looks, self.events = [], []

    def looked(self, seen):
        self.looks.append([(budget.name, standing.spent) for budget, standing in seen])

    def alerted(self, event, threshold):
        self.events.append((event, threshold))


class Replica:
    """What one gateway process has of budgets."""

    def __init__(self, database, clock, configured=()):
        self.seen = Seen()
        self.limits = LimitBook()
        self.book = BudgetBook(SqlBudgets(database), self.limits, configured, now=lambda: clock[0])
        standings = LedgerStandings(SqlSpendHistory(database), lambda: clock[0])
        self.refused = RefusedBudgets(lambda: clock[0])
        parts = WatchParts(self.book, SqlAlerts(database), standings, self.seen, self.refused)
        self.watcher = Watcher(parts, EVERY, lambda: clock[0])

    def refuse(self, spent, wanted=DOLLAR):
        """Have the only budget refuse a request that is expected to cost so much, beside what is spent."""
        limit = self.book.limit_of(self.book.budgets[0])
        standing = Standing(limit, max(0, limit.allowance.amount - spent), EVERY, spent=spent)
        self.refused.noted(Verdict((standing,), refused_by=(standing,)), Demand(spend=wanted, most=wanted))


async def messages(database):
    """Return type and data of every message, the oldest first."""
    async with database.connect() as connection:
        query = sa.select(WEBHOOKS.metadata.tables["webhook_deliveries"]).order_by(sa.text("created_at, type, body"))
        rows = (await connection.execute(query)).all()
    return [(one.type, json.loads(one.body)["data"]) for one in rows]


async def test_each_schema_comes_about_by_its_migrations(engine):
    for schema in (BUDGETS, WEBHOOKS):
        await upgrade(engine, schema)
        await require_current(engine, schema)
    async with engine.connect() as connection:
        for schema in (BUDGETS, WEBHOOKS):
            for table in schema.metadata.sorted_tables:
                columns = await connection.run_sync(lambda sync, of=table: sa.inspect(sync).get_columns(of.name))
                assert {one["name"] for one in columns} == set(table.c.keys())


async def test_budgets_come_back_as_they_were_made(database):
    made = budget(
        scope=Scope(ScopeKind.TEAM, "ä"),
        period=WindowKind.WEEK,
        kind=BudgetKind.SOFT,
        alerts=AlertRule((5, 1000), projected=False, webhook="w"),
        is_operators=False,
    )
    given = Grace(DOLLAR, NOW + EVERY, "INC-7", "op", NOW)
    registry, store = SqlRegistry(database), SqlBudgets(database)
    async with registry.begin() as records:
        await records.budgets.add(made)
        await records.budgets.grant("acme", "month", given)
        await records.budgets.grant("acme", "configured", given)
        assert await records.budgets.count("acme") == 1
    with pytest.raises(ResourceExists):
        async with registry.begin() as records:
            await records.budgets.add(made)
    kept = await store.kept(NOW)
    assert kept.created == (made,)
    assert kept.graces == {("acme", "month"): (given,), ("acme", "configured"): (given,)}
    assert (await store.kept(NOW + EVERY)).graces == {}
    changed = msgspec.structs.replace(made, amount=1)
    async with registry.begin() as records:
        await records.budgets.change(changed)
        assert await records.budgets.budget("acme", "month") == changed
        assert await records.budgets.graces("acme", "month", NOW) == (given,)
    async with registry.begin() as records:
        await records.budgets.delete("acme", "month")
    kept = await store.kept(NOW)
    assert (kept.created, list(kept.graces)) == ((), [("acme", "configured")])


async def test_a_created_tenants_days_are_of_its_time_zone_in_every_process(database):
    registry, replica = SqlRegistry(database), Replica(database, [NOW])
    async with registry.begin() as records:
        for name, zone in (("acme", "Asia/Kathmandu"), ("other", "UTC")):
            await records.add_tenant(TenantRecord(name, "free", frozenset(), (), NOW, time_zone=zone))
            await records.budgets.add(budget(tenant=name))
    await replica.book.renew()
    assert [replica.book.zone_of(name) for name in ("acme", "other", "nobody")] == ["Asia/Kathmandu", "UTC", "UTC"]
    async with registry.begin() as records:
        await records.change_tenant("acme", {"time_zone": "America/Lima"})
    await replica.book.renew()
    assert replica.book.limit_of(replica.book.budgets[0]).allowance.window.zone == "America/Lima"


async def test_what_is_made_in_one_process_binds_in_all_and_refills_nothing(database):
    clock = [NOW]
    first, second = Replica(database, clock), Replica(database, clock)
    await asyncio.gather(first.book.renew(), second.book.renew())
    async with SqlRegistry(database).begin() as records:
        await records.budgets.add(budget())
    await second.book.renew()
    (before,) = second.book.budgets
    limit = second.book.limit_of(before)
    async with SqlRegistry(database).begin() as records:
        await records.budgets.delete("acme", "month")
        await records.budgets.add(budget(amount=1))
    await first.book.renew()
    (after,) = first.book.budgets
    # The same counter: what was spent is not forgotten, neither by a change nor by making it again.
    assert (first.book.limit_of(after).counter, after.id) == (limit.counter, before.id)


async def test_the_ledger_says_what_a_scope_has_spent_in_a_period(database):
    end = datetime(2026, 12, 1, tzinfo=UTC)
    rows = [
        row(1, 1, requested_model="fast", feature="rag"),
        row(2, 2, requested_model="slow", key_id="k2"),
        row(3, 4, created_at=datetime(2026, 11, 1, tzinfo=UTC)),
        row(4, 8, created_at=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)),
        row(5, 16, created_at=end),
        row(6, 32, tenant="other"),
    ]
    await spend(database, *rows)
    history = SqlSpendHistory(database)
    month = period_of(budget().window("UTC"), NOW)

    async def dollars(scope, period=month):
        return await history.spent("acme", scope, period) / DOLLAR

    assert await dollars(Scope(ScopeKind.TENANT)) == 7
    assert await dollars(Scope(ScopeKind.TENANT), EVER) == 31
    assert await dollars(Scope(ScopeKind.MODEL, "fast")) == 5
    assert await dollars(Scope(ScopeKind.KEY, "k2")) == 2
    assert await dollars(Scope(ScopeKind.FEATURE, "rag")) == 1
    assert await dollars(Scope(ScopeKind.FEATURE, "other")) == 0
    # Kathmandu's month began and ends 5:45 h earlier.
    early = period_of(budget().window("Asia/Kathmandu"), NOW)
    assert await dollars(Scope(ScopeKind.TENANT), early) == 15


async def test_each_threshold_is_told_once_whatever_the_number_of_processes(database):
    clock = [NOW]
    configured = [budget(alerts=AlertRule((50, 80, 100), projected=True, webhook="finance"), is_configured=True)]
    replicas = [Replica(database, clock, configured) for _ in range(3)]
    await asyncio.gather(*[replica.book.renew() for replica in replicas])
    await spend(database, row(1, 5))

    async def look():
        clock[0] += EVERY
        await asyncio.gather(*[replica.watcher.look() for replica in replicas])

    await look()
    assert sum(bool(replica.seen.looks[-1]) for replica in replicas) == 1
    assert [data["threshold"] for _, data in await messages(database)] == ["50"]
    await look()
    await spend(database, row(2, 3.5))
    await look()
    await look()
    told = await messages(database)
    assert [(kind, data["threshold"]) for kind, data in told] == [
        ("budget.threshold", "50"),
        ("budget.threshold", "80"),
        ("budget.threshold", "projected"),
    ]
    assert (told[1][1]["spent_nano_usd"], told[1][1]["limit_nano_usd"]) == ("8500000000", "10000000000")
    events = [event for replica in replicas for event in replica.seen.events]
    assert len(events) == 3


async def test_a_raise_arms_what_is_not_reached_any_more_and_tells_that(database):
    clock = [NOW]
    rule = AlertRule((50, 80), projected=False, webhook="finance")
    replica = Replica(database, clock)
    registry = SqlRegistry(database)
    async with registry.begin() as records:
        await records.budgets.add(budget(alerts=rule))
    await spend(database, row(1, 8))

    async def look(**changes):
        if changes:
            async with registry.begin() as records:
                await records.budgets.change(budget(alerts=rule, **changes))
        clock[0] += EVERY
        await replica.book.renew()
        await replica.watcher.look()
        events, replica.seen.events = replica.seen.events, []
        return events

    assert await look() == [("budget.threshold", "50"), ("budget.threshold", "80")]
    assert await look(amount=12 * DOLLAR) == [("budget.resolved", "80")]
    assert await look() == []
    await spend(database, row(2, 1.6))
    assert await look() == [("budget.threshold", "80")]
    # What is less spent, such as by a correction, arms nothing that was told of this amount: it would be told again and again.
    await spend(database, row(3, -9))
    assert await look() == [("budget.resolved", "50")]
    assert await look() == []
    # A grace is a raise, too, and its end is none.
    async with registry.begin() as records:
        await records.budgets.grant("acme", "month", Grace(100 * DOLLAR, clock[0] + 2 * EVERY, "r", "op", NOW))
    assert await look() == [("budget.resolved", "80")]


async def test_another_period_is_told_of_anew_and_the_earlier_one_forgotten(database):
    clock = [NOW]
    replica = Replica(database, clock, [budget(period=WindowKind.DAY, alerts=AlertRule((50,), projected=False))])
    await replica.book.renew()
    await spend(database, row(1, 9), row(2, 9, created_at=NOW + timedelta(days=1)))
    for _ in range(2):
        await replica.watcher.look()
        clock[0] += timedelta(days=1)
    await replica.watcher.look()
    assert replica.seen.events == [("budget.threshold", "50")] * 2
    async with database.connect() as connection:
        assert len((await connection.execute(sa.select(alerts_table))).all()) == 1


async def test_without_a_webhook_there_is_no_message_and_a_sum_has_one_period(database):
    clock = [NOW]
    total = budget(period=WindowKind.TOTAL, alerts=AlertRule((50,), projected=True))
    replica = Replica(database, clock, [total])
    await replica.book.renew()
    await spend(database, row(1, 50, created_at=NOW - timedelta(days=400)))
    await replica.watcher.look()
    clock[0] += timedelta(days=60)
    await replica.watcher.look()
    assert replica.seen.events == [("budget.threshold", "50")]
    assert await messages(database) == []


NEARLY = int(9.7 * DOLLAR)


async def test_a_budget_that_refuses_is_told_as_spent_once_by_whoever_refused(database):
    clock = [NOW]
    configured = [budget(alerts=AlertRule((80, 100), projected=False, webhook="finance"), is_configured=True)]
    replicas = [Replica(database, clock, configured) for _ in range(3)]
    await asyncio.gather(*[replica.book.renew() for replica in replicas])
    await spend(database, row(1, 9.7))
    for _ in range(2):
        for replica in replicas[1:]:
            replica.refuse(NEARLY)
        await asyncio.gather(*[replica.watcher.look() for replica in replicas])
        clock[0] += EVERY
    told = [data for _, data in await messages(database)]
    assert sorted((data["threshold"], data["refused"]) for data in told) == [("100", True), ("80", False)]
    last = next(data["text"] for data in told if data["refused"])
    assert last.endswith("of this month: 97 %, and a request was refused that needs more than is left.")
    # Another look tells nothing twice, nor does the last cent.
    await spend(database, row(2, 0.3))
    clock[0] += EVERY
    await asyncio.gather(*[replica.watcher.look() for replica in replicas])
    assert len(await messages(database)) == 2


async def test_a_refusal_of_what_others_hold_of_before_a_raise_or_of_yesterday_is_not_told(database):
    clock = [NOW]
    rule = AlertRule((100,), projected=False)
    registry, replica = SqlRegistry(database), Replica(database, clock)
    async with registry.begin() as records:
        await records.budgets.add(budget(alerts=rule, period=WindowKind.DAY))
    await replica.book.renew()
    # There is room once the others give back what they hold.
    replica.refuse(NEARLY, int(0.3 * DOLLAR))
    await replica.watcher.look()
    replica.refuse(NEARLY)
    clock[0] += timedelta(days=1)
    await replica.watcher.look()
    replica.refuse(NEARLY)
    async with registry.begin() as records:
        await records.budgets.change(budget(alerts=rule, period=WindowKind.DAY, amount=20 * DOLLAR))
    await replica.book.renew()
    await replica.watcher.look()
    assert (replica.seen.events, replica.refused.by_id) == ([], {})
    replica.refuse(2 * NEARLY)
    await replica.watcher.look()
    assert replica.seen.events == [("budget.threshold", "100")]


async def test_a_refusal_is_told_to_nobody_who_did_not_ask_for_all(database):
    replica = Replica(database, [NOW], [budget(alerts=AlertRule((80,), projected=False))])
    await replica.book.renew()
    replica.refuse(NEARLY)
    await replica.watcher.look()
    assert (replica.seen.events, replica.refused.by_id) == ([], {})


async def test_a_raise_after_a_refusal_is_told_without_it(database):
    clock = [NOW]
    rule = AlertRule((100,), projected=False, webhook="finance")
    registry, replica = SqlRegistry(database), Replica(database, clock)
    async with registry.begin() as records:
        await records.budgets.add(budget(alerts=rule))
    await spend(database, row(1, 9.7))
    await replica.book.renew()
    replica.refuse(NEARLY)
    await replica.watcher.look()
    async with registry.begin() as records:
        await records.budgets.change(budget(alerts=rule, amount=12 * DOLLAR))
    clock[0] += EVERY
    await replica.book.renew()
    await replica.watcher.look()
    told = await messages(database)
    assert [(event, data["refused"]) for event, data in told] == [
        ("budget.threshold", True),
        ("budget.resolved", False),
    ]


def delivery(number, **changes):
    whole = {
        "id": f"msg_{number}",
        "webhook": "finance",
        "type": "t",
        "body": '{"ä":1}',
        "created_at": NOW,
        "next_at": NOW,
    }
    return Delivery(**whole | changes)


async def test_a_message_is_one_processs_at_a_time_and_anothers_once_that_is_gone(database):
    store, lease = SqlDeliveries(database), timedelta(minutes=2)
    for number in range(6):
        await store.add(delivery(number))
    await store.add(delivery(7, next_at=NOW + timedelta(hours=1)))
    await store.add(delivery(8, webhook="unknown"))

    async def claim(now):
        return [one.id for one in await store.claim(["finance"], now, now + lease, 5, 5)]

    claimed = await asyncio.gather(*[claim(NOW) for _ in range(3)])
    taken = sorted(one for each in claimed for one in each)
    assert len(taken) == len(set(taken))
    taken += await claim(NOW)
    taken += await claim(NOW)
    assert sorted(taken) == [f"msg_{number}" for number in range(6)]
    assert sorted(await claim(NOW + lease) + await claim(NOW + lease)) == sorted(taken)
    # How it is, is kept: who starts later goes on where another stopped.
    tried = delivery(1, attempts=3, next_at=NOW + timedelta(minutes=30), error="x" * 300)
    await store.note(tried)
    assert await claim(NOW + timedelta(minutes=2)) == []
    (again,) = [
        one
        for one in await store.claim(["finance"], NOW + timedelta(minutes=30), NOW + timedelta(hours=1), 9, 9)
        if one.id == "msg_1"
    ]
    assert (again.attempts, again.error, again.body) == (3, "x" * 256, '{"ä":1}')
    await store.note(msgspec.structs.replace(again, state=DeliveryState.DELIVERED))
    later = NOW + timedelta(hours=2)
    assert "msg_1" not in [one.id for one in await store.claim(["finance"], later, later + lease, 9, 9)]


async def test_messages_go_after_a_month_and_addresses_that_want_none_are_known(database):
    store = SqlDeliveries(database)
    await store.add(delivery(1, created_at=NOW - KEPT - EVERY))
    await store.add(delivery(2))
    assert len(await store.claim(["finance"], NOW, NOW + EVERY, 9, 9)) == 2
    assert [data for _, data in [(1, one.id) for one in await store.claim(["finance"], NOW + EVERY, NOW, 9, 9)]] == [
        "msg_2"
    ]
    await store.disable("a", "finance", NOW)
    await store.disable("a", "finance", NOW)
    assert await store.disabled() == {"a"}

"""Usage out of the ledger, on both engines: sums that lose nothing, calendars, and pages that stay."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from penstock_common.errors import InvalidRequest, ScopeMissing
from penstock_common.llm.types import UnitPrices, Usage
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.usage.store import SqlUsage
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.life.settlement import LedgerRow, Part
from penstock_gateway.domain.usage.calendar import Step
from penstock_gateway.domain.usage.lines import Sums
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.domain.usage.query import Dimension, Filter, Group, Query, groups_of

OPERATOR = Actor(key_id="op", is_operator=True)
BEGIN, END = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC)
NOW = END + timedelta(days=1)


def row(number, draw=None, **fields):
    draw = draw or random.Random(number)
    usual = {
        "generation_id": f"g{number:05}",
        "request_id": f"r{number}",
        "created_at": BEGIN + (END - BEGIN) * draw.random(),
        "tenant": draw.choice(["acme", "beta"]),
        "key_id": draw.choice(["k1", "k2", "k3"]),
        "surface": draw.choice(["openai", "grpc"]),
        "requested_model": draw.choice(["fast", "smart"]),
        "upstream": draw.choice(["first", "second"]),
        "model": draw.choice(["m1", "m2", "m3"]),
        "outcome": draw.choice(["ok", "ok", "ok", "cancelled", "upstream_failed"]),
        "finish_reason": "stop",
        "cache_status": draw.choice(["hit", "miss", ""]),
        "usage": Usage(
            input_tokens=draw.randrange(5000),
            output_tokens=draw.randrange(900),
            cached_input_tokens=draw.randrange(100),
            cache_write_input_tokens=draw.randrange(9),
            cache_write_1h_input_tokens=draw.randrange(9),
            estimated=draw.random() < 0.2,
        ),
        "unit_prices": UnitPrices(),
        "cost_nano_usd": draw.randrange(10**13),
        "saved_nano_usd": draw.randrange(10**6),
        "attempts": 1,
        "duration_ms": 8.0,
        "user": draw.choice(["", "ada"]),
        "feature": draw.choice(["", "rag", "Rag", "ähnlich"]),
        "tags": draw.choice([{}, {"env": "prod"}, {"env": "test", "a.b": "x"}]),
        "prompt": draw.choice(["", "greet"]),
        "prompt_version": 3,
        "part": draw.choice([Part(), Part(experiment="e1", variant="b", phase="p")]),
    }
    return LedgerRow(**{**usual, **fields})


async def written(engine, rows):
    async with ledger_table(engine) as table:
        for at in range(0, len(rows), 64):
            await table.write(rows[at : at + 64])
    return rows


@pytest.fixture
async def rows(database):
    draw = random.Random(14)
    return await written(database, [row(number, draw) for number in range(240)])


@pytest.fixture
def reading(database):
    return UsageReading(SqlUsage(database), now=lambda: NOW)


def plain(rows):
    """Return what rows add up to, added one by one."""
    return Sums(
        requests=len(rows),
        errors=sum(one.outcome not in ("ok", "cancelled") for one in rows),
        cancelled=sum(one.outcome == "cancelled" for one in rows),
        cache_hits=sum(one.cache_status == "hit" for one in rows),
        estimated=sum(one.usage.estimated for one in rows),
        attempts=len(rows),
        input_tokens=sum(one.usage.input_tokens for one in rows),
        cached_input_tokens=sum(one.usage.cached_input_tokens for one in rows),
        cache_write_input_tokens=sum(
            one.usage.cache_write_input_tokens + one.usage.cache_write_1h_input_tokens for one in rows
        ),
        output_tokens=sum(one.usage.output_tokens for one in rows),
        cost_nano_usd=sum(one.cost_nano_usd for one in rows),
        saved_nano_usd=sum(one.saved_nano_usd for one in rows),
        duration_ms=8.0 * len(rows),
    )


async def lines(reading, *by, page_size=500, actor=OPERATOR, zone="", between=None, **wanted):
    """Return every line, by the start of its turn and its names; ``between`` is awaited after the first page."""
    groups, step = groups_of(by)
    query = Query(filter=Filter(**wanted), by=groups, step=step, zone=zone)
    found, token = [], ""
    for _ in range(1000):
        report = await reading.query(actor, query, Page.of(page_size, token))
        found += [((report.starts[line.turn] if step else None, *line.names), line.sums) for line in report.lines]
        token = report.next_token
        if between is not None:
            await between()
            between = None
        if not token:
            return found
    raise AssertionError("the pages of a report never end")


def grouped(rows, *values):
    groups = {}
    for one in rows:
        groups.setdefault((None, *[value(one) for value in values]), []).append(one)
    return {names: plain(group) for names, group in groups.items()}


async def test_one_line_of_all_is_a_plain_sum(reading, rows):
    assert await lines(reading) == [((None,), plain(rows))]


@pytest.mark.parametrize(
    ("by", "values"),
    [
        (["tenant", "requested_model"], [lambda one: one.tenant, lambda one: one.requested_model]),
        (["feature"], [lambda one: one.feature]),
        (["tag:env", "end_user"], [lambda one: one.tags.get("env", ""), lambda one: one.user]),
        (["tag:a.b"], [lambda one: one.tags.get("a.b", "")]),
        (["prompt", "prompt_version"], [lambda one: one.prompt, lambda one: "3" if one.prompt else ""]),
        (["experiment", "variant"], [lambda one: one.part.experiment, lambda one: one.part.variant]),
        (["key", "upstream", "model"], [lambda one: one.key_id, lambda one: one.upstream, lambda one: one.model]),
        (
            ["surface", "outcome", "cache"],
            [lambda one: one.surface, lambda one: one.outcome, lambda one: one.cache_status],
        ),
    ],
)
async def test_groups_hold_each_row_once_and_what_is_unattributed_is_one_of_them(reading, rows, by, values):
    found = await lines(reading, *by)
    assert dict(found) == grouped(rows, *values)
    assert [names for names, _ in found] == sorted(names for names, _ in found)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
async def test_days_are_those_of_the_zone_s_calendar(reading, rows, zone):
    expected = {}
    for one in rows:
        day = one.created_at.astimezone(ZoneInfo(zone)).date()
        expected.setdefault(day, []).append(one)
    found = {names[0].astimezone(ZoneInfo(zone)).date(): sums for names, sums in await lines(reading, "day", zone=zone)}
    assert found == {day: plain(group) for day, group in expected.items()}


async def test_a_month_of_hours_beside_groups_adds_up_to_the_nano(reading, rows):
    found = await lines(reading, "hour", "requested_model", zone="Europe/Berlin")
    total = Sums()
    for _, sums in found:
        total += sums
    assert total == plain(rows)
    assert all(start.minute == 0 for (start, _), _ in found)


async def test_the_25_hours_of_a_day_are_one_day(database, reading):
    zone = ZoneInfo("Europe/Berlin")
    at = [datetime(2026, 10, 25, 0, 0, tzinfo=zone), datetime(2026, 10, 25, 23, 59, 59, tzinfo=zone)]
    await written(database, [row(number, created_at=moment.astimezone(UTC)) for number, moment in enumerate(at)])
    ((names, sums),) = await lines(reading, "day", zone="Europe/Berlin")
    assert sums.requests == 2
    assert names[0] == datetime(2026, 10, 24, 22, tzinfo=UTC)


async def test_a_turn_begins_with_its_first_moment(database, reading):
    zone = ZoneInfo("America/New_York")
    midnights = [datetime(2026, 10, day, tzinfo=zone).astimezone(UTC) for day in range(25, 29)]
    await written(database, [row(number, created_at=moment) for number, moment in enumerate(midnights)])
    found = await lines(reading, "day", zone="America/New_York")
    assert [(names[0], sums.requests) for names, sums in found] == [(moment, 1) for moment in midnights]


async def test_bounds_take_the_first_moment_and_leave_the_last(database, reading):
    await written(database, [row(1, created_at=BEGIN), row(2, created_at=END)])
    ((_, sums),) = await lines(reading, since=BEGIN, until=END)
    assert sums.requests == 1


async def test_a_filter_takes_one_of_several_values_and_every_tag(reading, rows):
    where = {Dimension.MODEL: ("m1", "m2"), Dimension.UPSTREAM: ("first",)}
    ((_, sums),) = await lines(reading, tenant="acme", where=where, tags={"env": "test", "a.b": "x"})
    assert sums == plain(
        [
            one
            for one in rows
            if one.tenant == "acme" and one.model in ("m1", "m2") and one.upstream == "first" and "a.b" in one.tags
        ]
    )
    assert await lines(reading, "model", tags={"env": "nowhere"}) == []


async def test_pages_have_each_line_once_and_count_no_row_of_later(database, reading, rows):
    async def arrive():
        await written(database, [row(9000 + number, created_at=NOW + timedelta(seconds=1)) for number in range(9)])

    whole = await lines(reading, "tag:env", "feature", "model", "day")
    paged = await lines(reading, "tag:env", "feature", "model", "day", page_size=7, between=arrive)
    assert paged == whole


async def test_rows_come_the_newest_first_in_pages(database, reading, rows):
    token, found = "", []
    while True:
        page = await reading.requests(OPERATOR, Filter(tenant="acme"), Page.of(37, token))
        found += page.rows
        token = page.next_token
        if not token:
            break
        await written(database, [row(9000 + len(found), tenant="acme", created_at=NOW + timedelta(seconds=1))])
    expected = sorted(
        (one for one in rows if one.tenant == "acme"), key=lambda one: (one.created_at, one.generation_id), reverse=True
    )
    assert [one.generation_id for one in found] == [one.generation_id for one in expected]
    first, own = found[0], expected[0]
    assert (first.created_at, first.of["key"], first.tags) == (own.created_at, own.key_id, own.tags)
    assert first.sums == plain([own])


async def test_a_tenant_s_key_sees_its_own_and_one_with_models_those(reading, rows):
    tenant = Actor(key_id="k", tenant="acme")
    own = [one for one in rows if one.tenant == "acme"]
    assert await lines(reading, actor=tenant) == [((None,), plain(own))]
    with pytest.raises(ScopeMissing):
        await lines(reading, actor=tenant, tenant="beta")
    bounded = Actor(key_id="k", tenant="acme", models=frozenset({"fast"}))
    fast = [one for one in own if one.requested_model == "fast"]
    assert await lines(reading, actor=bounded) == [((None,), plain(fast))]
    smart = {Dimension.REQUESTED_MODEL: ("smart",)}
    assert await lines(reading, "model", actor=bounded, where=smart) == []


@pytest.mark.parametrize(
    "token", ["bm90IGpzb24=", "W10=", "WyIyMDI2LTEwLTAxIiwwXQ==", "WyIyMDI2LTEwLTAxVDAwOjAwOjAwKzAwOjAwIiwieCJd"]
)
async def test_a_token_of_another_list_is_refused(reading, token):
    query = Query(filter=Filter(), by=(Group("model"),))
    with pytest.raises(InvalidRequest, match="page_token"):
        await reading.query(OPERATOR, query, Page.of(5, token))


KEPT = sa.Table(
    "ledger_totals",
    sa.MetaData(),
    sa.Column("created_at", sa.DateTime(timezone=True)),
    *[sa.Column(name, sa.String(64)) for name in ("tenant", "team", "key_id", "requested_model", "operation")],
    *[sa.Column(name, sa.BigInteger) for name in ("requests", "errors", "input_tokens", "cost_nano_usd")],
)


async def test_what_retention_leaves_counts_as_its_rows_did(database, rows):
    day = {"created_at": BEGIN, "tenant": "acme", "team": "search", "key_id": "k1", "requested_model": "fast"}
    async with database.begin() as connection:
        await connection.execute(sa.text("DROP TABLE IF EXISTS ledger_totals"))
        await connection.run_sync(KEPT.create)
        kept = {"operation": "", "requests": 7, "errors": 2, "input_tokens": 70, "cost_nano_usd": 10**15 + 1}
        await connection.execute(KEPT.insert(), [{**day, **kept}])
    reading = UsageReading(SqlUsage(database, KEPT), now=lambda: NOW)
    ((_, whole),) = await lines(reading)
    assert whole == plain(rows) + Sums(requests=7, errors=2, input_tokens=70, cost_nano_usd=10**15 + 1)
    groups = "team", "tag:env", "prompt_version", "operation", "day"
    found = dict(await lines(reading, *groups, where={Dimension.KEY: ("k1",)}))
    assert found[BEGIN, "search", "", "", "chat"].cost_nano_usd == 10**15 + 1
    total = Sums()
    for sums in found.values():
        total += sums
    assert total.requests == 7 + sum(one.key_id == "k1" for one in rows)
    assert await lines(reading, "team", tags={"env": "prod"}, where={Dimension.TEAM: ("search",)}) == []


async def test_an_empty_ledger_has_an_empty_report(reading):
    assert await lines(reading, "day", "model") == []
    report = await reading.query(OPERATOR, Query(filter=Filter(), step=Step.MONTH), Page.of(5, ""))
    assert (report.lines, report.next_token) == ([], "")


async def test_what_was_run_as_a_job_is_told_apart(database, reading):
    await written(database, [row(1), row(2, job="job_a", attempt=1), row(3, job="job_a", attempt=2)])
    told = await lines(reading, "run_as")
    assert [(names, sums.requests) for names, sums in told] == [((None, "job"), 2), ((None, "request"), 1)]

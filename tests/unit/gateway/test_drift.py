"""Counters of spend beside the ledger: how far they are apart, what is told of it, and setting them right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.ledger.drift import DriftAdministration, DriftWatch
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.rules import NamedAllowance, Rules
from penstock_gateway.domain.limits.windows import PER_MINUTE, TOTAL, Window, WindowKind

NOW = datetime(2026, 11, 3, tzinfo=UTC)
MONTH = Window(WindowKind.MONTH, zone="America/New_York")
TEAM = Limit("acme", Scope(ScopeKind.TEAM, "red"), Allowance(Measure.SPEND, MONTH, 100), "monthly", budget="b1")
EVER = Limit("acme", TENANT, Allowance(Measure.SPEND, TOTAL, 100), "ever", budget="b2")
OTHER = Limit("other", TENANT, Allowance(Measure.SPEND, MONTH, 100), "monthly", budget="b3")


class Spending:
    """Counters and a ledger of a few sums, as ``Counters``, ``SpendLimits`` and ``SpendHistory``."""

    def __init__(self, *limits):
        self.limits = limits
        self.counted = {limit.counter: 50 for limit in limits}
        self.booked = 50
        self.periods = []

    def spend_limits(self):
        return self.limits

    async def standings(self, limits):
        known = [limit for limit in limits if limit.counter in self.counted]
        return [Standing(limit, 0, timedelta(), self.counted[limit.counter], 7) for limit in known]

    async def rebuild(self, limits):
        for limit in limits:
            self.counted[limit.counter] = self.booked

    async def spent(self, tenant, scope, period):
        self.periods.append(period.start)
        return self.booked


def watching(*limits, most=10):
    spending = Spending(*limits)
    return spending, DriftWatch(spending, spending, spending, most, lambda: NOW)


async def test_counters_stand_beside_the_ledgers_sum_of_their_own_period():
    spending, watch = watching(TEAM, EVER)
    spending.counted[TEAM.counter] = 53
    of_team, of_ever = await watch.measured()
    assert (of_team.nano_usd, of_team.reserved, of_ever.nano_usd) == (3, 7, 0)
    assert spending.periods == [datetime(2026, 11, 1, 4, tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]


async def test_counter_that_is_not_there_does_not_drift():
    spending, watch = watching(TEAM)
    spending.counted.clear()
    assert await watch.measured() == []


async def test_drift_is_told_once_two_looks_in_a_row_find_it_and_shown_at_once():
    spending, watch = watching(TEAM, EVER)
    spending.counted[TEAM.counter] = 55
    with capture_logs() as logs:
        await watch.look()
    assert (logs, watch.by_scope) == ([], {"team": 5, "tenant": 0})
    with capture_logs() as logs:
        await watch.look()
    assert [(entry["event"], entry["limit"], entry["counted_nano_usd"]) for entry in logs] == [
        ("ledger_drift", "monthly", 55)
    ]
    spending.counted[TEAM.counter] = 50
    with capture_logs() as logs:
        await watch.look()
        spending.counted[TEAM.counter] = 45
        await watch.look()
    assert logs == []


async def test_what_two_looks_in_a_row_find_below_the_ledger_is_set_right():
    spending, watch = watching(TEAM, EVER)

    async def look(counted):
        spending.counted[TEAM.counter] = counted
        with capture_logs() as logs:
            await watch.look()
        return spending.counted[TEAM.counter], [entry["event"] for entry in logs]

    # Above, at first or both times, nothing is touched.
    assert await look(55) == (55, [])
    assert await look(55) == (55, ["ledger_drift"])
    assert await look(45) == (45, ["ledger_drift"])
    assert await look(46) == (50, ["ledger_drift", "ledger_drift_set_right"])
    assert await look(45) == (45, [])
    assert spending.counted[EVER.counter] == 50


async def test_what_could_not_be_set_right_is_so_by_the_next_look():
    spending, watch = watching(TEAM)
    spending.counted[TEAM.counter] = 45
    await watch.look()
    rebuild, spending.rebuild = spending.rebuild, None
    with pytest.raises(TypeError):
        await watch.look()
    spending.rebuild = rebuild
    await watch.look()
    assert spending.counted[TEAM.counter] == 50


async def test_only_so_many_counters_are_looked_at():
    spending, watch = watching(TEAM, EVER, OTHER, most=2)
    assert [drift.limit for drift in await watch.measured()] == [TEAM, EVER]


async def test_rebuilding_sets_a_tenants_counters_right_and_no_others():
    spending, watch = watching(TEAM, EVER, OTHER)
    spending.booked = 20
    before = await watch.rebuild("acme")
    assert [drift.nano_usd for drift in before] == [30, 30]
    assert spending.counted == {TEAM.counter: 20, EVER.counter: 20, OTHER.counter: 50}


async def test_rolling_windows_are_no_matter_of_the_ledgers():
    rolling = msgspec.structs.replace(TEAM, allowance=Allowance(Measure.SPEND, PER_MINUTE, 5))
    assert await watching(rolling)[1].measured() == []


class NoRegistry:
    """Is never reached."""


async def test_where_nobody_counts_a_sentence_says_so():
    administration = DriftAdministration(None, NoRegistry())
    with pytest.raises(ServiceUnavailable, match="start it with 'penstock up'"):
        await administration.list("")


def test_book_knows_the_spend_limits_of_budgets_and_of_what_requests_met():
    daily = NamedAllowance("usd_per_day", Allowance(Measure.SPEND, Window(WindowKind.DAY), 9))
    rpm = NamedAllowance("requests_per_minute", Allowance(Measure.REQUESTS, PER_MINUTE, 9))
    tier = Tier("t", rules=Rules(each={ScopeKind.KEY: (daily, rpm)}))
    book = LimitBook()
    book.take_over_budgets({"acme": (TEAM,)})
    assert book.spend_limits() == (TEAM,)
    for model in ("fast", "smart"):
        book.limits_of(Caller(Tenant("acme", tier), "k", frozenset(), team="red"), model)
    assert [(limit.name, str(limit.scope)) for limit in book.spend_limits()] == [
        ("monthly", "team red"),
        ("usd_per_day", "key k"),
    ]

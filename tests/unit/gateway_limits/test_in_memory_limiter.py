"""Limits of one process, each property by itself; what holds of any sequence is in tests/integration/gateway."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from penstock_common.errors import Overloaded
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.domain.limits.admission import Demand, Used
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import NOW, PER_DAY, PER_MINUTE, TOTAL, Window, WindowKind

LEASE = timedelta(seconds=60)
USD = 1_000_000_000
START = datetime(2026, 10, 31, 23, 0, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.ns = 5_000_000_000

    def now(self):
        return START + timedelta(microseconds=self.ns // 1_000 - 5_000_000)

    def advance(self, seconds):
        self.ns += round(seconds * 1_000_000_000)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    return InMemoryLimiter(lambda: clock.ns, clock.now)


def limit(measure, amount, window=PER_MINUTE, scope=TENANT, burst=0, **more):
    return Limit("acme", scope, Allowance(measure, window, amount, burst), f"{measure}", **more)


def requests(amount, **more):
    return limit(Measure.REQUESTS, amount, **more)


def tokens(amount, **more):
    return limit(Measure.TOKENS, amount, **more)


def at_once(amount, **more):
    return limit(Measure.CONCURRENT, amount, NOW, **more)


def money(usd, window=TOTAL, **more):
    return limit(Measure.SPEND, int(usd * USD), window, **more)


async def ask(limiter, limits, demand=None, name=None, lease=LEASE):
    ask.number += 1
    return await limiter.reserve(name or f"r{ask.number}", "acme", limits, demand or Demand(), lease)


ask.number = 0


async def test_no_limits_take_nothing(limiter):
    verdict = await ask(limiter, ())
    assert verdict.refused_by == () and not limiter._counters


async def test_rolling_one_refills_continuously_and_retry_after_is_exact(limiter, clock):
    limits = (requests(10),)
    assert all([(await ask(limiter, limits)).reservation for _ in range(10)])
    refused = await ask(limiter, limits)
    assert refused.retry_after == timedelta(seconds=6)
    assert refused.refused_by[0].remaining == 0 and refused.refused_by[0].reset == timedelta(seconds=60)
    clock.advance(5.999_999)
    assert (await ask(limiter, limits)).retry_after == timedelta(microseconds=1)
    clock.advance(0.000_001)
    assert (await ask(limiter, limits)).reservation
    assert (await ask(limiter, limits)).refused_by


async def test_burst_is_what_may_be_used_at_once(limiter, clock):
    limits = (requests(600, burst=60),)
    for _ in range(60):
        assert (await ask(limiter, limits)).reservation
    assert (await ask(limiter, limits)).retry_after == timedelta(seconds=0.1)
    clock.advance(0.1)
    assert (await ask(limiter, limits)).reservation


async def test_what_a_bucket_never_holds_is_refused_for_ever(limiter):
    for limits, demand in [
        ((tokens(100, burst=10),), Demand(tokens=11)),
        ((requests(0),), Demand()),
        ((at_once(0),), Demand()),
    ]:
        verdict = await ask(limiter, limits, demand)
        assert verdict.refused_by and verdict.retry_after is None and not verdict.held_by_others


async def test_refusal_leaves_no_residue(limiter):
    refusing = at_once(1, scope=Scope(ScopeKind.KEY, "k"))
    limits = (requests(5), tokens(100), money(1), at_once(9), refusing)
    assert (await ask(limiter, limits, Demand(10, 10, 20))).reservation
    before = await limiter.standings(limits)
    for _ in range(20):
        verdict = await ask(limiter, limits, Demand(10, 10, 20))
        assert [each.limit for each in verdict.refused_by] == [refusing]
        assert verdict.retry_after == timedelta(seconds=1)
    assert await limiter.standings(limits) == before


async def test_settling_puts_what_was_used_in_the_place_of_what_was_expected(limiter):
    limits = (tokens(1_000), money(1), at_once(2))
    first = await ask(limiter, limits, Demand(400, USD // 10, USD // 2))
    limiter.settle(first.reservation, Used(100, 7))
    limiter.settle(first.reservation, Used(100, 7))
    limiter.cancel(first.reservation)
    of_tokens, of_money, running = await limiter.standings(limits)
    assert (of_tokens.remaining, of_money.spent, of_money.reserved, running.remaining) == (900, 7, 0, 2)
    second = await ask(limiter, limits, Demand(100))
    limiter.settle(second.reservation, Used(1_500))
    refused = await ask(limiter, limits, Demand(1))
    assert refused.retry_after == timedelta(seconds=60 * 601 / 1_000)


async def test_cancelling_gives_the_request_itself_back(limiter):
    limits = (requests(1), tokens(10), money(1), at_once(1))
    for _ in range(3):
        verdict = await ask(limiter, limits, Demand(10, USD, USD))
        limiter.cancel(verdict.reservation)
        limiter.cancel(verdict.reservation)
        limiter.settle(verdict.reservation, Used(10, 10))
    assert [each.remaining for each in await limiter.standings(limits)] == [1, 10, USD, 1]


async def test_reserving_again_by_the_same_id_takes_nothing(limiter):
    limits = (requests(1), money(1))
    first = await ask(limiter, limits, Demand(0, 10, 100), "same")
    again = await ask(limiter, limits, Demand(0, 10, 100), "same")
    assert again.reservation.ceiling == first.reservation.ceiling
    assert again.standings == first.standings


async def test_lease_frees_what_is_held_and_a_late_settlement_still_adds_what_was_spent(limiter, clock):
    limits = (at_once(1), money(1))
    late = await ask(limiter, limits, Demand(0, USD, USD))
    assert (await ask(limiter, limits)).refused_by
    clock.advance(60)
    held = await ask(limiter, limits, Demand(0, USD // 2, USD // 2))
    assert held.reservation
    assert await limiter.extend(late.reservation, 5) == 0
    limiter.settle(late.reservation, Used(0, 300))
    running, spent = await limiter.standings(limits)
    assert (running.remaining, spent.spent, spent.reserved) == (0, 300, USD // 2)


async def test_budget_admits_to_the_nano_dollar(limiter):
    limits = (money(1),)
    first = await ask(limiter, limits, Demand(0, USD - 1, USD - 1))
    limiter.settle(first.reservation, Used(0, USD - 1))
    refused = await ask(limiter, limits, Demand(0, 2, 2))
    assert refused.retry_after is None and not refused.held_by_others
    assert (await ask(limiter, limits, Demand(0, 1, 1))).reservation
    held = await ask(limiter, limits, Demand(0, 1, 1))
    assert held.held_by_others and timedelta(seconds=1) <= held.retry_after <= timedelta(seconds=5)
    assert (await ask(limiter, limits, Demand())).reservation


async def test_hard_budget_is_never_overrun_by_ceilings_and_their_extension(limiter):
    limits = (money(1),)
    running = [await ask(limiter, limits, Demand(0, USD // 1_000, 10 * USD)) for _ in range(50)]
    assert all(verdict.reservation for verdict in running)
    ceilings = [verdict.reservation.ceiling for verdict in running]
    assert sum(ceilings) <= USD // 1_000 * 50 + USD // 8
    first = running[0].reservation
    granted = await limiter.extend(first, 10 * USD)
    assert sum(ceilings) + granted == USD
    assert await limiter.extend(running[1].reservation, 1) == 0
    assert (await ask(limiter, limits, Demand(0, 1, 1))).held_by_others
    limiter.settle(first, Used(0, ceilings[0] + granted))
    for verdict, ceiling in zip(running[1:], ceilings[1:], strict=True):
        limiter.settle(verdict.reservation, Used(0, ceiling))
    (standing,) = await limiter.standings(limits)
    assert (standing.spent, standing.reserved, standing.remaining) == (USD, 0, 0)
    refused = await ask(limiter, limits, Demand(0, 1, 1))
    assert refused.refused_by and not refused.held_by_others


async def test_without_a_budget_nothing_bounds_a_request(limiter):
    verdict = await ask(limiter, (requests(5),), Demand(1, 5, 50))
    assert verdict.reservation.ceiling is None
    assert await limiter.extend(verdict.reservation, 77) == 77


async def test_shadow_counts_apart_and_refuses_nothing(limiter):
    limits = (requests(2), requests(1, shadow=True), money(1, shadow=True))
    assert (await ask(limiter, limits)).shadowed == ()
    second = await ask(limiter, limits, Demand(0, 2 * USD, 3 * USD))
    assert second.reservation.ceiling is None
    assert [(str(each.limit), each.remaining) for each in second.shadowed] == [
        ("1 requests per minute", 0),
        ("$1.00 per total", 0),
    ]
    refused = await ask(limiter, limits)
    assert [each.limit.shadow for each in refused.refused_by] == [False]


async def test_another_amount_keeps_what_is_used(limiter, clock):
    for _ in range(4):
        await ask(limiter, (requests(10),))
    raised = await ask(limiter, (requests(20),))
    assert raised.standings[0].remaining == 15
    lowered = await ask(limiter, (requests(2),))
    assert lowered.refused_by[0].remaining == 0 and lowered.retry_after == timedelta(seconds=120)


async def test_month_begins_anew_and_what_was_admitted_before_counts_there(limiter, clock):
    month = Window(WindowKind.MONTH, zone="Europe/Berlin")  # its November began at 23:00
    before = Window(WindowKind.MONTH)
    limits = (money(1, month), money(1, before, budget="b"))
    first = await ask(limiter, limits, Demand(0, USD, USD), lease=timedelta(hours=2))
    assert first.standings[0].reset == timedelta(days=30)
    assert first.standings[1].reset == timedelta(hours=1)
    clock.advance(3_600)
    after = await ask(limiter, limits, Demand(0, 1, 1))
    assert [each.limit.budget for each in after.refused_by] == [""]
    limiter.settle(first.reservation, Used(0, USD))
    assert [each.spent for each in await limiter.standings(limits)] == [USD, 0]


class History:
    def __init__(self, spent):
        self.amount, self.asked = spent, []

    async def spent(self, tenant, scope, period):
        self.asked.append((tenant, str(scope), period.start))
        if self.amount is None:
            raise ConnectionError("no database")
        return self.amount


async def test_period_goes_on_from_what_the_ledger_says(clock):
    history = History(USD - 5)
    limiter = InMemoryLimiter(lambda: clock.ns, clock.now, history)
    limits = (money(1, Window(WindowKind.DAY)),)
    assert (await ask(limiter, limits, Demand(0, 6, 6))).refused_by[0].spent == USD - 5
    assert (await ask(limiter, limits, Demand(0, 5, 5))).reservation
    assert history.asked == [("acme", "tenant", datetime(2026, 10, 31, tzinfo=UTC))]


async def test_budget_of_which_nothing_is_known_admits_nothing(clock):
    limiter = InMemoryLimiter(lambda: clock.ns, clock.now, History(None))
    with pytest.raises(Overloaded):
        await ask(limiter, (money(1),), Demand(0, 1, 1))
    assert (await ask(limiter, (requests(1),))).reservation


async def test_who_asks_nothing_is_forgotten(limiter, clock):
    for number in range(100):
        limits = (
            requests(5, scope=Scope(ScopeKind.KEY, f"k{number}")),
            at_once(5, scope=Scope(ScopeKind.KEY, f"k{number}")),
        )
        await ask(limiter, limits)
    clock.advance(2 * 3_600)
    busy = (requests(1_000),)
    for _ in range(10):
        clock.advance(3_600)
        await ask(limiter, busy)
    assert len(limiter._counters) == 1


async def test_memory_holds_what_is_open(limiter, clock):
    limits = (at_once(10), tokens(10_000_000, window=PER_DAY))
    for _ in range(5_000):
        verdict = await ask(limiter, limits, Demand(1))
        limiter.settle(verdict.reservation, Used(1))
        clock.advance(0.001)
    assert len(limiter._leases) <= 2_001 and not limiter._open and not list(limiter.outstanding())


class LedgerThatIsWrittenTo:
    """Answers with what was booked when it was asked, and by then more has been settled."""

    def __init__(self):
        self.booked, self.meanwhile = 0, None

    async def spent(self, tenant, scope, period):
        booked, meanwhile, self.meanwhile = self.booked, self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return booked


async def test_what_is_settled_while_an_account_is_rebuilt_stays(clock):
    ledger = LedgerThatIsWrittenTo()
    limiter = InMemoryLimiter(lambda: clock.ns, clock.now, ledger)
    limits = (money(1),)
    reservation = (await ask(limiter, limits, Demand(0, 500, 500))).reservation
    ledger.booked, ledger.meanwhile = 70, lambda: limiter.settle(reservation, Used(0, 100))
    await limiter.rebuild(limits)
    assert [(each.spent, each.reserved) for each in await limiter.standings(limits)] == [(170, 0)]


async def test_an_account_that_is_rebuilt_by_two_at_once_is_corrected_once(clock):
    ledger = LedgerThatIsWrittenTo()
    ledger.booked = 100
    limiter = InMemoryLimiter(lambda: clock.ns, clock.now, ledger)
    limits = (money(1),)
    await limiter.standings(limits)
    ledger.booked = 30
    await asyncio.gather(limiter.rebuild(limits), limiter.rebuild(limits))
    assert [each.spent for each in await limiter.standings(limits)] == [30]

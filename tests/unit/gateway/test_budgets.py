"""Budgets as the domain has them: what they are called, what they allow, and when they are worth a word."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_gateway.domain.access.token_terms import user_id_of
from penstock_gateway.domain.budgets.alerts import data_of, is_reached, sentence, thresholds
from penstock_gateway.domain.budgets.book import BudgetBook
from penstock_gateway.domain.budgets.budget import (
    MAX_NANO_USD,
    AlertRule,
    Budget,
    BudgetKind,
    Grace,
    merged,
    scope_of,
    scope_text,
    usd,
)
from penstock_gateway.domain.budgets.ports import Kept
from penstock_gateway.domain.budgets.standing import KnownStandings, projected, standing_of
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import TENANT, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import EVER, Period, WindowKind, period_of
from penstock_gateway.settings import Settings

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
DOLLAR = 1_000_000_000
HOUR = timedelta(hours=1)


def budget(**changes):
    return Budget(**{"tenant": "acme", "name": "month", "amount": 100 * DOLLAR, **changes})


def grace(amount, until, granted_at=NOW - HOUR):
    return Grace(amount, until, "INC-7", "op", granted_at)


def standing(spent, *, of=None, now=NOW, reserved=0):
    limit = (of or budget()).limit("UTC", now)
    return standing_of(Standing(limit, 0, timedelta(), spent=spent, reserved=reserved), now)


def test_an_id_stays_and_differs_by_all_that_it_is_made_of():
    same = budget(amount=1, kind=BudgetKind.SOFT, alerts=AlertRule((1,)), made_by="x", graces=(grace(1, NOW),))
    assert same.id == budget().id == "2dbfdb16afe325c4"
    others = [
        budget(tenant="other"),
        budget(name="other"),
        budget(period=WindowKind.WEEK),
        budget(scope=Scope(ScopeKind.TEAM, "search")),
        budget(scope=Scope(ScopeKind.USER, "search")),
    ]
    assert len({one.id for one in (budget(), *others)}) == 6


def test_an_amount_has_its_live_graces_and_no_others():
    granted = budget(graces=(grace(5 * DOLLAR, NOW + HOUR), grace(7 * DOLLAR, NOW), grace(DOLLAR, NOW + 2 * HOUR)))
    assert granted.effective(NOW) == 106 * DOLLAR
    assert granted.effective(NOW - HOUR) == 113 * DOLLAR
    assert granted.effective(NOW + HOUR) == 101 * DOLLAR
    assert granted.effective(NOW + 2 * HOUR) == 100 * DOLLAR
    assert budget(amount=MAX_NANO_USD, graces=(grace(MAX_NANO_USD, NOW + HOUR),)).effective(NOW) == MAX_NANO_USD


def test_a_budget_is_a_limit_of_money_with_a_counter_of_its_own():
    hard, soft = budget().limit("Asia/Kathmandu", NOW), budget(kind=BudgetKind.SOFT).limit("UTC", NOW)
    assert (hard.shadow, soft.shadow) == (False, True)
    assert hard.allowance.window.zone == "Asia/Kathmandu"
    assert hard.counter != soft.counter
    assert hard.counter == budget(amount=1).limit("UTC", NOW).counter


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("tenant", TENANT),
        ("team/search", Scope(ScopeKind.TEAM, "search")),
        ("model/org/m", Scope(ScopeKind.MODEL, "org/m")),
        ("user/3kTq0aZr81Lm", Scope(ScopeKind.USER, "3kTq0aZr81Lm")),
        (f"user/{user_id_of('https://id', 'ann')}", Scope(ScopeKind.USER, user_id_of("https://id", "ann"))),
    ],
)
def test_scopes_are_written_as_they_are_read(text, scope):
    assert scope_of(text) == scope
    assert scope_text(scope) == text


@pytest.mark.parametrize("text", ["user/ann@example.com", "user/ann", "user/oidc-ann"])
def test_a_user_of_whom_no_request_can_be_is_refused(text):
    with pytest.raises(ValueError, match="whom the body of a request names as its user is counted in no budget"):
        scope_of(text)


@pytest.mark.parametrize("text", ["", "team", "team/", "tenant/x", "room/x", "Team/x"])
def test_what_is_no_scope_is_refused(text):
    with pytest.raises(ValueError, match="a scope is tenant, or one of team/NAME"):
        scope_of(text)


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "$0.00"), (1, "$0.000000001"), (1_500_000_000, "$1.50"), (-12_345 * DOLLAR, "-$12,345.00")]
)
def test_money_is_written_to_the_last_digit(nano, text):
    assert usd(nano) == text


def test_the_configuration_wins_by_name():
    configured, created = [budget(is_configured=True)], [budget(amount=1), budget(name="day"), budget(tenant="b")]
    assert merged(configured, created) == (configured[0], created[1], created[2])


def test_projection_is_linear_and_silent_for_the_first_tenth():
    period = Period(NOW, NOW + timedelta(hours=10))
    assert projected(DOLLAR, period, NOW + timedelta(minutes=59, seconds=59)) is None
    assert projected(DOLLAR, period, NOW + HOUR) == 10 * DOLLAR
    assert projected(DOLLAR, period, NOW + timedelta(hours=10)) == DOLLAR
    assert projected(0, period, NOW + HOUR) == 0
    assert projected(DOLLAR, EVER, NOW) is None


def test_the_day_that_has_25_hours_is_projected_by_25():
    day = budget(period=WindowKind.DAY)
    period = period_of(day.window("Europe/Berlin"), datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert period.end - period.start == timedelta(hours=25)
    assert projected(DOLLAR, period, period.start + timedelta(hours=5)) == 5 * DOLLAR


def test_thresholds_are_reached_by_what_is_spent_and_not_by_what_is_reserved():
    below, at = standing(50 * DOLLAR - 1, reserved=90 * DOLLAR), standing(50 * DOLLAR)
    assert [is_reached("50", one) for one in (below, at)] == [False, True]
    assert not is_reached("80", at)
    # Half of a month, half of the money: it comes to all of it, which is not more.
    middle = datetime(2026, 11, 16, tzinfo=UTC)
    assert [is_reached("projected", standing(50 * DOLLAR + more, now=middle)) for more in (0, 1)] == [False, True]
    early = datetime(2026, 11, 3, tzinfo=UTC)
    assert not is_reached("projected", standing(99 * DOLLAR, now=early))


def test_a_budget_of_nothing_says_nothing_before_something_is_spent():
    nothing = budget(amount=0)
    assert not is_reached("100", standing(0, of=nothing))
    assert is_reached("100", standing(1, of=nothing))


def test_thresholds_come_once_and_in_order():
    assert thresholds(budget(alerts=AlertRule((80, 50, 80)))) == ("50", "80", "projected")
    assert thresholds(budget(alerts=AlertRule((), projected=False))) == ()


def test_an_event_says_all_that_one_needs():
    of = budget(scope=Scope(ScopeKind.TEAM, "search"))
    data = data_of(of, standing(80 * DOLLAR, of=of, reserved=1), "80")
    assert data == {
        "budget_id": of.id,
        "budget": "month",
        "tenant": "acme",
        "scope": "team/search",
        "kind": "hard",
        "period": "month",
        "threshold": "80",
        "refused": False,
        "spent_nano_usd": "80000000000",
        "limit_nano_usd": "100000000000",
        "reserved_nano_usd": "1",
        "projected_nano_usd": "154838709677",
        "period_start": "2026-11-01T00:00:00+00:00",
        "period_end": "2026-12-01T00:00:00+00:00",
        "text": "The budget 'month' of acme (team/search) has spent $80.00 of $100.00 of this month: 80 %.",
    }
    assert "it comes to $154.838709677" in sentence(of, standing(80 * DOLLAR, of=of), "projected")
    total = budget(period=WindowKind.TOTAL)
    assert data_of(total, standing(1, of=total), "50")["period_end"] is None


class Store:
    """What the database would say."""

    def __init__(self):
        self.has = Kept()

    async def kept(self, now, keys):
        return self.has


async def test_a_book_feeds_the_limits_and_leaves_alone_who_has_not_changed():
    store, limits, taken = Store(), LimitBook(), []
    limits.take_over_budgets = taken.append
    book = BudgetBook(store, limits, [budget(is_configured=True)], {"acme": "Europe/Berlin"}, lambda: NOW)
    store.has = Kept((budget(tenant="b"),))
    await book.renew()
    await book.renew()
    (first,) = taken
    assert first["acme"][0].allowance.window.zone == "Europe/Berlin"
    store.has = Kept((budget(tenant="b", amount=1),), {("b", "month"): (grace(2, NOW + HOUR),)})
    await book.renew()
    assert taken[1]["acme"] is first["acme"]
    assert (taken[1]["b"][0].allowance.amount, taken[1]["b"][0].counter) == (3, first["b"][0].counter)
    book.take_over([], {})
    assert list(taken[2]) == ["b"]
    store.has = Kept()
    await book.renew()
    assert taken[3] == {}


async def test_a_calendar_is_the_configurations_then_the_created_tenants_then_utc():
    store, limits, taken = Store(), LimitBook(), []
    limits.take_over_budgets = taken.append
    book = BudgetBook(store, limits, zones={"acme": "Europe/Berlin"}, now=lambda: NOW)
    created = tuple(budget(tenant=tenant) for tenant in ("acme", "b", "c"))
    store.has = Kept(created, zones={"acme": "Asia/Tokyo", "b": "Asia/Tokyo"})
    await book.renew()
    zones = lambda: [taken[-1][tenant][0].allowance.window.zone for tenant in ("acme", "b", "c")]  # noqa: E731
    assert zones() == ["Europe/Berlin", "Asia/Tokyo", "UTC"]
    store.has = Kept(created, zones={"b": "America/Lima"})
    await book.renew()
    assert zones() == ["Europe/Berlin", "America/Lima", "UTC"]


async def test_an_older_read_that_ends_late_takes_nothing_newer_away():
    store, slow = Store(), asyncio.Event()
    book = BudgetBook(store, LimitBook(), now=lambda: NOW)

    async def kept(_now, _keys):
        has = store.has
        if not has.created:
            await slow.wait()
        return has

    store.kept = kept
    older = asyncio.create_task(book.renew())
    await asyncio.sleep(0)
    store.has = Kept((budget(),))
    newer = asyncio.create_task(book.renew())
    for _ in range(5):
        await asyncio.sleep(0)
    slow.set()
    await asyncio.gather(older, newer)
    assert book.budgets == (budget(),)


async def test_a_grace_ends_by_itself_even_while_the_store_is_away():
    store, limits, taken, clock = Store(), LimitBook(), [], [NOW]
    limits.take_over_budgets = taken.append
    store.has = Kept((budget(),), {("acme", "month"): (grace(DOLLAR, NOW + HOUR),)})
    book = BudgetBook(store, limits, now=lambda: clock[0])
    await book.renew()
    clock[0] += HOUR
    store.kept = None
    rounds = iter([None])

    async def sleep(_seconds):
        if next(rounds, "end") == "end":
            raise StopAsyncIteration

    with pytest.raises((StopAsyncIteration, RuntimeError)):
        await book.run(timedelta(seconds=2), sleep)
    assert [one["acme"][0].allowance.amount for one in taken] == [101 * DOLLAR, 100 * DOLLAR]


async def test_who_counts_is_asked_first_and_another_for_what_is_not_counted():
    counted, uncounted = (budget(name=name).limit("UTC", NOW) for name in ("a", "b"))

    class Knows:
        def __init__(self, spent, *limits):
            self.spent, self.limits, self.asked = spent, limits, []

        async def standings(self, limits):
            self.asked.append(list(limits))
            return tuple(Standing(one, 0, timedelta(), spent=self.spent) for one in limits if one in self.limits)

    first, other = Knows(1, counted), Knows(2, counted, uncounted)
    found = await KnownStandings(first, other).standings([uncounted, counted])
    assert [(one.limit.name, one.spent) for one in found] == [("b", 2), ("a", 1)]
    assert other.asked == [[uncounted]]


def configured(budgets, webhooks=None):
    document = {"budgets": budgets, "webhooks": webhooks or {}}
    return Configuration(document).settings(Settings)


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FINANCE = {"url": "https://finance.example.com/hook", "secrets": [SECRET]}


def test_the_configuration_says_budgets_and_webhooks():
    settings = configured(
        [{"name": "m", "tenant": "acme", "scope": "team/search", "amount": 0.1, "alerts": [80], "webhook": "finance"}],
        {"finance": FINANCE},
    )
    (one,) = settings.budgets_configured()
    assert (one.amount, one.scope, one.period) == (100_000_000, Scope(ScopeKind.TEAM, "search"), WindowKind.MONTH)
    assert (one.alerts, one.is_configured) == (AlertRule((80,), projected=False, webhook="finance"), True)
    endpoint = settings.endpoints()["finance"]
    assert (endpoint.name, len(endpoint.secrets[0]), endpoint.allow_private) == ("finance", 24, False)
    assert configured([{"name": "m", "tenant": "a", "amount": "2000"}]).budgets_configured()[0].alerts == AlertRule()


@pytest.mark.parametrize(
    ("budgets", "webhooks", "told"),
    [
        ([{"amount": -1}], {}, "budgets[0].amount"),
        ([{"amount": ".nan"}], {}, "budgets[0].amount"),
        ([{"amount": "1e999"}], {}, "budgets[0].amount"),
        ([{"amount": 9_000_000_001}], {}, "budgets[0].amount"),
        ([{"amount": "0.0000000001"}], {}, "budgets[0].amount"),
        ([{"scope": "room/x"}], {}, "a scope is tenant"),
        ([{"period": "1mo"}], {}, "budgets[0].period"),
        ([{"alerts": [0]}], {}, "budgets[0].alerts"),
        ([{"name": "a b"}], {}, "budgets[0].name"),
        ([{"webhook": "finanze"}], {"finance": FINANCE}, "did you mean 'finance'"),
        ([{}, {}], {}, "has the budget 'm' twice"),
        ([], {"f": {**FINANCE, "url": "http://f.example.com"}}, "https:// is expected"),
        ([], {"f": {**FINANCE, "url": "https://127.0.0.1/"}}, "not of the internet at large"),
        ([], {"f": {**FINANCE, "url": "https://me:pw@f.example.com"}}, "names no user"),
        ([], {"f": {**FINANCE, "url": "file:///etc/passwd"}}, "http:// or https://"),
        ([], {"f": {**FINANCE, "secrets": ["whsec_c2hvcnQ="]}}, "24 to 64 bytes"),
        ([], {"f": {**FINANCE, "secrets": ["plain"]}}, "begins with whsec_"),
        ([], {"f": {**FINANCE, "secrets": []}}, "webhooks.f.secrets"),
    ],
)
def test_what_the_configuration_cannot_mean_is_refused_where_it_stands(budgets, webhooks, told):
    whole = [{"name": "m", "tenant": "acme", "amount": 1, **one} for one in budgets]
    with pytest.raises(ConfigurationError) as refused:
        configured(whole, webhooks)
    assert told in str(refused.value)
    assert "c2hvcnQ" not in str(refused.value)


@pytest.mark.parametrize("alert", [0, 1001, "foo", 80.5, "80%", True, None, -5, "²", [80]])
def test_what_is_no_alert_is_told_once_and_in_words(alert):
    with pytest.raises(ConfigurationError) as refused:
        configured([{"name": "m", "tenant": "acme", "amount": 1, "alerts": [80, alert]}])
    (fault,) = refused.value.faults
    assert fault.key == "budgets[0].alerts[1]"
    assert fault.message.endswith("a percent of the amount from 1 to 1000 is expected, such as 80, or projected")


def test_an_alert_may_be_written_as_a_text():
    (one,) = configured([{"name": "m", "tenant": "acme", "amount": 1, "alerts": ["80", "projected", 1000]}]).budgets
    assert one.budget().alerts == AlertRule((80, 1000), projected=True)


@given(st.integers(0, 10**15), st.integers(1, 10**15), st.integers(1, 1000))
def test_a_threshold_is_reached_exactly(spent, amount, percent):
    reached = is_reached(str(percent), standing(spent, of=budget(amount=amount)))
    assert reached == (spent > 0 and 100 * spent >= percent * amount)


def test_budgets_are_values():
    assert msgspec.structs.replace(budget(), amount=100 * DOLLAR) == budget()

"""Which limits bind a request."""

from __future__ import annotations

import dataclasses

import pytest

from penstock_gateway.domain.access.identity import Caller, KeyScope, Tenant
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import Window, WindowKind
from penstock_gateway.settings import Settings

_MONTH = Window(WindowKind.MONTH)


def _tenant(**tier):
    tenants = [{"name": "acme", "tier": tier, "time_zone": "Europe/Berlin"}]
    return Settings.model_validate({"tenants": tenants}).tenants_by_name()["acme"]


def _caller(tenant: Tenant, team="", user=""):
    return Caller(tenant, "key-1", frozenset({KeyScope.INFERENCE}), team=team, user_id=user)


def _names(limits):
    return [(str(limit.scope), limit.name, limit.allowance.amount) for limit in limits]


def test_every_scope_binds_and_what_has_a_name_goes_before_each():
    tenant = _tenant(
        requests_per_minute=60,
        each_team={"tokens_per_minute": 10},
        teams={"search": {"tokens_per_minute": 99}},
        each_user={"concurrent_requests": 3},
        each_key={"requests_per_day": 5},
        models={"big": {"spend_per_month": "12.5"}},
    )
    book = LimitBook()
    assert _names(book.limits_of(_caller(tenant, "search", "u1"), "big")) == [
        ("tenant", "requests_per_minute", 60),
        ("team search", "tokens_per_minute", 99),
        ("user u1", "concurrent_requests", 3),
        ("key key-1", "requests_per_day", 5),
        ("model big", "spend_per_month", 12_500_000_000),
    ]
    assert _names(book.limits_of(_caller(tenant, "ads"), "small")) == [
        ("tenant", "requests_per_minute", 60),
        ("team ads", "tokens_per_minute", 10),
        ("key key-1", "requests_per_day", 5),
    ]


def test_calendars_are_of_the_tenants_time_zone():
    (limit,) = LimitBook().limits_of(_caller(_tenant(spend_per_day=1)), "m")
    assert limit.allowance.window == Window(WindowKind.DAY, zone="Europe/Berlin")


def test_another_time_zone_is_another_calendar_at_once():
    book, tenant = LimitBook(), _tenant(spend_per_day=1)
    for zone in ("Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"):
        moved = dataclasses.replace(tenant, time_zone=zone)
        for model in ("m", "n"):
            (limit,) = book.limits_of(_caller(moved), model)
            assert limit.allowance.window.zone == zone
            # The counter is the same, and there once.
            assert book.spend_limits() == (limit,)


def test_who_is_not_limited_has_no_limits_and_nothing_is_looked_up():
    assert LimitBook().limits_of(_caller(_tenant()), "m") == ()


def test_a_shadow_does_not_use_up_what_another_counts():
    tenant = _tenant(requests_per_minute=60, shadow={"requests_per_minute": 30})
    limits = LimitBook().limits_of(_caller(tenant), "m")
    assert [limit.shadow for limit in limits] == [False, True]
    assert len({limit.counter for limit in limits}) == 2


def test_budgets_bind_those_whom_they_are_of_from_the_moment_they_are_known():
    book, tenant = LimitBook(), _tenant(spend_per_month=100)
    budget = Limit(
        "acme", Scope(ScopeKind.FEATURE, "support"), Allowance(Measure.SPEND, _MONTH, 5), "support", budget="b1"
    )
    asks = lambda: [limit.name for limit in book.limits_of(_caller(tenant), "m", "support")]  # noqa: E731
    assert asks() == ["spend_per_month"]
    book.take_over_budgets({"acme": (budget,)})
    assert asks() == ["spend_per_month", "support"]
    assert len(book.limits_of(_caller(tenant), "m", "other")) == 1


def test_of_those_that_share_a_counter_the_strictest_binds():
    scope, window = Scope(ScopeKind.KEY, "key-1"), _MONTH
    limits = [Limit("acme", scope, Allowance(Measure.SPEND, window, amount), "x", budget="b") for amount in (7, 3, 9)]
    book = LimitBook()
    book.take_over_budgets({"acme": tuple(limits)})
    (limit,) = book.limits_of(_caller(_tenant()), "m")
    assert limit.allowance.amount == 3


@pytest.mark.parametrize("burst", [0.0, 1.5])
def test_a_burst_is_a_part_of_the_whole(burst):
    with pytest.raises(ValueError, match="burst"):
        _tenant(requests_per_minute=60, burst=burst)


def test_a_burst_is_said_as_a_part():
    (limit,) = LimitBook().limits_of(_caller(_tenant(requests_per_minute=600, burst=0.1)), "m")
    assert (limit.allowance.amount, limit.allowance.capacity) == (600, 60)


def test_a_time_zone_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="Europe/Berlin"):
        Settings.model_validate({"tenants": [{"name": "a", "time_zone": "Mars/Olympus"}]})


@pytest.mark.parametrize(
    ("nano_usd", "told"),
    [(0, "$0.00"), (8_000_000, "$0.008"), (1_500_000_000, "$1.50"), (2_000_000_000_001, "$2,000.000000001")],
)
def test_money_is_told_to_its_last_digit(nano_usd, told):
    limit = Limit("acme", Scope(ScopeKind.TENANT), Allowance(Measure.SPEND, _MONTH, nano_usd), "x")
    assert str(limit) == f"{told} per month"

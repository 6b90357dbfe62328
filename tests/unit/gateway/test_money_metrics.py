"""Limits and budgets as metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from penstock_gateway.adapters.money_metrics import BudgetsCollector, LimitRefusals, LimitsCollector
from penstock_gateway.domain.limits.admission import Standing, Verdict
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.sight import BudgetSeen
from penstock_gateway.domain.limits.windows import PER_MINUTE

NOW = datetime(2026, 10, 1, tzinfo=UTC)


class Limiter:
    mode = "share"

    def __init__(self):
        self.held = {}

    def outstanding(self):
        return self.held.items()


def standing(kind, measure, *, shadow=False):
    limit = Limit("acme", Scope(kind, "secret-name"), Allowance(measure, PER_MINUTE, 5), "rpm", shadow)
    return Standing(limit, 0, timedelta())


def test_reservations_are_counted_and_grow_old_until_they_are_settled():
    limiter, clock, registry = Limiter(), [100.0], CollectorRegistry()
    registry.register(LimitsCollector(limiter, lambda: clock[0]))

    def seen():
        names = "reservations", "reserved_usd", "oldest_reservation_seconds"
        return tuple(registry.get_sample_value(f"penstock_limits_{name}") for name in names)

    assert seen() == (0, 0, 0)
    limiter.held["a"] = 1_500_000_000
    assert seen() == (1, 1.5, 0)
    clock[0] += 40
    limiter.held["b"] = 0
    assert seen() == (2, 1.5, 40)
    del limiter.held["a"]
    clock[0] += 2
    assert seen() == (1, 0, 2)
    assert registry.get_sample_value("penstock_limits_mode", {"mode": "share"}) == 1


@pytest.mark.parametrize(("held", "reason"), [(True, "reserved"), (False, "spent")])
def test_refusals_are_told_by_scope_and_reason_and_never_by_name(held, reason):
    registry = CollectorRegistry()
    refusals = LimitRefusals(registry)
    refused = (standing(ScopeKind.KEY, Measure.REQUESTS), standing(ScopeKind.TEAM, Measure.SPEND))
    shadowed = (standing(ScopeKind.USER, Measure.TOKENS, shadow=True),)
    refusals.noted(Verdict((), refused_by=refused, held_by_others=held, shadowed=shadowed))
    refusals.noted(Verdict((), refused_by=refused[:1], held_by_others=held))

    def count(scope, measure, why, shadow):
        labels = {"scope": scope, "measure": measure, "reason": why, "shadow": shadow}
        return registry.get_sample_value("penstock_limits_refusals_total", labels)

    assert count("key", "requests", reason, "false") == 2
    assert count("team", "spend", reason, "false") == 1
    assert count("user", "tokens", "spent", "true") == 1
    told = str([sample for family in registry.collect() for sample in family.samples])
    assert "secret-name" not in told


def test_budgets_of_one_name_and_kind_are_one_series():
    registry = CollectorRegistry()
    usual = {"tenant": "acme", "name": "daily", "scope": "user", "limit": 10**9, "reserved": 5 * 10**8}
    seen = [BudgetSeen(spent=10**9, elapsed=0.5, **usual), BudgetSeen(spent=0, elapsed=0.5, **usual)]
    registry.register(BudgetsCollector(lambda: seen))
    labels = {"tenant": "acme", "budget": "daily", "scope": "user"}
    values = {
        name: registry.get_sample_value(f"penstock_budget_{name}", labels)
        for name in ("limit_usd", "spent_usd", "reserved_usd", "elapsed_ratio")
    }
    assert values == {"limit_usd": 2, "spent_usd": 1, "reserved_usd": 1, "elapsed_ratio": 0.5}

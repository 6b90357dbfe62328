"""Budgets and webhooks as metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters
from penstock_gateway.domain.budgets.alerts import PROJECTED
from penstock_gateway.domain.budgets.budget import Budget
from penstock_gateway.domain.budgets.standing import BudgetStanding


class BudgetMetrics:
    """Implements ``watching.BudgetObserver`` and ``courier.CourierObserver``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "What is spent of a budget in its period, by what may be: 1 is all. The process has it that looked last."
        self._used = Gauge(semconv.METRIC_BUDGET_USED_RATIO, told, ("tenant", "budget"), registry=registry)
        told = "Alerts of budgets: threshold or resolved; of what is spent or projected."
        self._alerts = Counters(registry, semconv.METRIC_BUDGET_ALERTS, told, ("event", "of"))
        told = "Tries to bring a message to a webhook: delivered, failed, exhausted or disabled."
        self.seen: list[tuple[Budget, BudgetStanding]] = []
        """Where the budgets stood at the last look; nothing where another process has looked."""
        self._tries = Counters(registry, semconv.METRIC_WEBHOOK_TRIES, told, ("webhook", "result"))

    def looked(self, seen: list[tuple[Budget, BudgetStanding]]) -> None:
        """Show where the budgets stand, and no others."""
        self.seen = seen
        self._used.clear()
        for budget, standing in seen:
            share = standing.spent / standing.limit if standing.limit else float(standing.spent > 0)
            self._used.labels(budget.tenant, budget.name).set(share)

    def alerted(self, event: str, threshold: str) -> None:
        """Count an event."""
        self._alerts.add((event.removeprefix("budget."), PROJECTED if threshold == PROJECTED else "spent"))

    def tried(self, webhook: str, result: str) -> None:
        """Count a try."""
        self._tries.add((webhook, result))

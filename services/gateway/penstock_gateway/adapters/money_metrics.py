"""Limits and budgets as metrics. Labels are bounded: no key and no user ever becomes one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters
from penstock_gateway.domain.limits.admission import Standing, Verdict
from penstock_gateway.domain.limits.sight import BudgetSeen, Counting

_NANO = 1e9
_OF_BUDGET = ("tenant", "budget", "scope")


class LimitRefusals:
    """Counts whom limits refuse, and whom they would."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Limits that refused a request, or, as shadows, would have; spent, or reserved by others."
        self._refusals = Counters(
            registry, semconv.METRIC_LIMITS_REFUSALS, told, ("scope", "measure", "reason", "shadow")
        )

    def noted(self, verdict: Verdict) -> None:
        """Count the limits of a verdict that refuse, and its shadows."""
        reason = "reserved" if verdict.held_by_others else "spent"
        for standing in verdict.refused_by:
            self._count(standing, reason)
        for standing in verdict.shadowed:
            self._count(standing, "spent")

    def _count(self, standing: Standing, reason: str) -> None:
        limit = standing.limit
        shadow = "true" if limit.shadow else "false"
        self._refusals.add((limit.scope.kind.value, limit.allowance.measure.value, reason, shadow))


class LimitsCollector(Collector):
    """What is reserved and not settled, for how long, and how limits are counted.

    How old a reservation is, is known from the first time that somebody asked while it was there.
    """

    def __init__(self, counting: Counting, clock: Callable[[], float] = time.monotonic) -> None:
        self._counting = counting
        self._clock = clock
        self._seen: dict[str, float] = {}

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: what there is, is known when it is asked for."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the families as they are now."""
        now, held = self._clock(), dict(self._counting.outstanding())
        self._seen = {name: self._seen.get(name, now) for name in held}
        oldest = now - min(self._seen.values(), default=now)
        told = "Reservations of this process that nobody has settled."
        yield _gauge(semconv.METRIC_LIMITS_RESERVATIONS, told, len(held))
        told = "Dollars that those hold."
        yield _gauge(semconv.METRIC_LIMITS_RESERVED, told, sum(held.values()) / _NANO)
        told = "Seconds since the oldest of those was first seen."
        yield _gauge(semconv.METRIC_LIMITS_OLDEST, told, oldest)
        mode = GaugeMetricFamily(semconv.METRIC_LIMITS_MODE, "1 for how limits are counted now.", labels=("mode",))
        mode.add_metric((self._counting.mode,), 1)
        yield mode


class BudgetsCollector(Collector):
    """Where budgets stand, and how much of their period is over; those of one name and kind of scope, such as each user's, together."""

    def __init__(self, seen: Callable[[], Iterable[BudgetSeen]]) -> None:
        self._seen = seen

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: what there is, is known when it is asked for."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the families as they are now."""
        families = [
            GaugeMetricFamily(semconv.METRIC_BUDGET_LIMIT, "Dollars of a budget's period.", labels=_OF_BUDGET),
            GaugeMetricFamily(semconv.METRIC_BUDGET_SPENT, "Dollars that are spent of them.", labels=_OF_BUDGET),
            GaugeMetricFamily(semconv.METRIC_BUDGET_RESERVED, "Dollars that requests hold.", labels=_OF_BUDGET),
            GaugeMetricFamily(semconv.METRIC_BUDGET_ELAPSED, "The part of the period that is over.", labels=_OF_BUDGET),
        ]
        together: dict[tuple[str, str, str], tuple[float, float, float, float]] = {}
        for one in self._seen():
            labels = one.tenant, one.name, one.scope
            limit, spent, reserved, elapsed = together.get(labels, (0.0, 0.0, 0.0, 0.0))
            together[labels] = (
                limit + one.limit / _NANO,
                spent + one.spent / _NANO,
                reserved + one.reserved / _NANO,
                max(elapsed, one.elapsed),
            )
        for labels, figures in together.items():
            for family, figure in zip(families, figures, strict=True):
                family.add_metric(labels, figure)
        return families


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=value)

"""Reviews as metrics. Labels are bounded: no item, rule or tenant ever becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters, Histograms
from penstock_gateway.domain.reviews.flag import Source
from penstock_gateway.domain.reviews.item import EXPIRY, ReviewItem
from penstock_gateway.domain.reviews.ports import Outcome, Standing
from penstock_gateway.domain.reviews.tidying import ReviewTidying

_TAKES = (10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200)


class ReviewMetrics:
    """Implements ``observing.ReviewObserver``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Flags by who made them and what became of them: opened, grouped with another, or full."
        self._flagged = Counters(registry, semconv.METRIC_REVIEWS_FLAGGED, told, ("source", "outcome"))
        told = "Items that were decided: allow, block or edit, by a reviewer or by expiry."
        self._decided = Counters(registry, semconv.METRIC_REVIEWS_DECIDED, told, ("decision", "by"))
        told = "Seconds from a flag to the decision."
        self._takes = Histograms(registry, semconv.METRIC_REVIEW_DECISION, told, ("by",), _TAKES)

    def flagged(self, source: Source, outcome: Outcome) -> None:
        """Count a flag."""
        self._flagged.add((source.value, outcome.value))

    def decided(self, item: ReviewItem) -> None:
        """Count a decision."""
        by = EXPIRY if item.reviewer == EXPIRY else "reviewer"
        self._decided.add(("" if item.decision is None else item.decision.value, by))
        if item.decided_at is not None:
            self._takes.observe((by,), max(0.0, (item.decided_at - item.created_at).total_seconds()))


_NOBODY_WAITS = Standing(0, 0, 0, None)


class StandingCollector(Collector):
    """How many items wait: the same from every process, so take the maximum."""

    def __init__(self, watch: ReviewTidying, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._watch = watch
        self._now = now

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: what there is, is known when it is asked for."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the families as of the last look; before the first there is nothing to wait for."""
        standing = self._watch.standing or _NOBODY_WAITS
        told = "Undecided items of all tenants by age: fresh, due_soon or overdue. Every process says the same."
        waiting = GaugeMetricFamily(semconv.METRIC_REVIEWS_OPEN, told, labels=("standing",))
        waiting.add_metric(("fresh",), standing.fresh)
        waiting.add_metric(("due_soon",), standing.due_soon)
        waiting.add_metric(("overdue",), standing.overdue)
        told = (
            "Seconds since the oldest undecided item was flagged; 0 where there is none. Every process says the same."
        )
        oldest = GaugeMetricFamily(semconv.METRIC_REVIEWS_OLDEST, told)
        since = standing.oldest
        oldest.add_metric((), 0 if since is None else max(0.0, (self._now() - since).total_seconds()))
        yield waiting
        yield oldest

"""Answers that nobody knows the price of, as a metric and a line in the log."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from penstock_common.llm.types import Candidate
from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters

# Upstreams say what they like; what is beyond is counted and not logged.
_MOST_LOGGED = 100

_log = structlog.get_logger(__name__)


class UnpricedAnswers:
    """Counts answers at tiers of service without a price; says of each tier once that it came. A collector."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = Counters(
            self._registry,
            semconv.METRIC_UNPRICED,
            "Answers at a tier of service that has no price: billed as if it had been the asked one.",
            ("upstream", "model"),
        )
        self._logged: set[tuple[str, str]] = set()

    def note(self, candidate: Candidate, tier: str) -> None:
        """Count an answer."""
        self._counters.add((candidate.upstream, candidate.model))
        seen = (str(candidate), tier)
        if seen not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(seen)
            _log.warning("service_tier_without_a_price", candidate=str(candidate), tier=tier)

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        return self._registry.collect()

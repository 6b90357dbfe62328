"""Who spends how much on what: dollars by tenant and feature."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters

MOST_FEATURES = 200
"""Pairs of tenant and feature that are told apart in a process; callers choose the words, and each stays for good."""
OTHER = "other"


class SpendMetrics:
    """Counts dollars billed. Of a tenant with too many features the later ones are ``other``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Dollars billed, by who asked and the feature that it was for; beyond 200 of both the feature is 'other'."
        self._dollars = Counters(registry, semconv.METRIC_SPEND, told, ("tenant", "feature"))
        self._known: set[tuple[str, str]] = set()

    def add(self, labels: tuple[str, str], dollars: float) -> None:
        """Count dollars of a tenant's feature, in that order."""
        if labels not in self._known:
            if labels[1] and len(self._known) >= MOST_FEATURES:
                labels = (labels[0], OTHER)
            else:
                self._known.add(labels)
        self._dollars.add(labels, dollars)

"""Who spends how much on what: dollars by tenant and feature."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters, Labels

MOST_FEATURES = 200
"""Pairs of tenant and feature that are told apart in a process; callers choose the words, and each stays for good."""
OTHER = "other"


class SpendMetrics(Counters):
    """Counts dollars billed. Once there are so many pairs, features that are new are ``other``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = (
            "Dollars billed, by who asked and the feature that it was for; beyond 200 of both the feature is 'other'."
        )
        super().__init__(registry, semconv.METRIC_SPEND, told, ("tenant", "feature"))

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Count dollars of a tenant's feature, in that order."""
        if labels in self._counts:
            # The usual case, without another call: this is for each request.
            self._counts[labels] += amount
            return
        tenant, feature = labels
        is_too_many = feature and len(self._counts) >= MOST_FEATURES
        super().add((tenant, OTHER) if is_too_many else labels, amount)

"""Who spends how much on what: dollars by tenant and feature."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Count, Counters, Labels

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

    def of(self, labels: Labels) -> Count:
        """Return the counter of a tenant's feature, in that order."""
        tenant, feature = labels
        is_too_many = feature and labels not in self._counts and len(self._counts) >= MOST_FEATURES
        return super().of((tenant, OTHER) if is_too_many else labels)

"""Which revision of the configuration a process runs, as Prometheus sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector


class RevisionMetrics(Collector):
    """The revision that runs, since when, and whether the last reload was one."""

    def __init__(self, revision: str, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._registry = CollectorRegistry()
        self._info = Gauge(
            "penstock_config_info",
            "1 for the revision of the configuration that runs.",
            ["revision"],
            registry=self._registry,
        )
        self._is_good = Gauge(
            "penstock_config_last_reload_successful",
            "1 unless the last reload of the configuration was refused.",
            registry=self._registry,
        )
        self._since = Gauge(
            "penstock_config_last_reload_success_timestamp_seconds",
            "When the process took over the revision that runs, in Unix time.",
            registry=self._registry,
        )
        self.take_over(revision)

    def take_over(self, revision: str) -> None:
        """Tell of this revision from now on."""
        self._info.clear()
        self._info.labels(revision).set(1)
        self._since.set(self._now())
        self._is_good.set(1)

    def refuse(self) -> None:
        """Tell that a reload was refused."""
        self._is_good.set(0)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        return self._registry.collect()

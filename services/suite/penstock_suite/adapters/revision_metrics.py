"""Which revision of the configuration a process runs, as Prometheus sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class RevisionMetrics(Collector):
    """The revision that runs, since when, and whether the last reload was one."""

    def __init__(self, revision: str, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._is_good = True
        self.take_over(revision)

    def take_over(self, revision: str) -> None:
        """Tell of this revision from now on."""
        self._revision = revision
        self._since = self._now()
        self._is_good = True

    def refuse(self) -> None:
        """Tell that a reload was refused."""
        self._is_good = False

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
        info = GaugeMetricFamily(
            "penstock_config_info", "1 for the revision of the configuration that runs.", labels=["revision"]
        )
        info.add_metric([self._revision], 1)
        yield info
        yield GaugeMetricFamily(
            "penstock_config_last_reload_successful",
            "1 unless the last reload of the configuration was refused.",
            value=float(self._is_good),
        )
        yield GaugeMetricFamily(
            "penstock_config_last_reload_success_timestamp_seconds",
            "When the process took the revision that runs over, in Unix time.",
            value=self._since,
        )

    def describe(self) -> list[Any]:
        """Return nothing: what it tells of is not asked for to register it."""
        return []

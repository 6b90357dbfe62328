"""The metrics of several processes, as one page."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LABEL = "worker"
_TIMEOUT_SECONDS = 2.0
# The form that has exemplars.
_ASKED = {"Accept": "application/openmetrics-text; version=1.0.0"}


class WorkerMetrics(Collector):
    """What each worker shows, with its name as the label ``worker``.

    Not summed: a worker that starts again counts from zero, which Prometheus
    sees only in series of its own. One that does not answer is left out.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses

    def collect(self) -> Iterator[Metric]:
        """Return the metrics that the workers show now."""
        merged: dict[str, Metric] = {}
        for worker, address in self._addresses.items():
            for family in _families(address):
                into = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    labels = {**sample.labels, LABEL: worker}
                    into.add_sample(sample.name, labels, sample.value, sample.timestamp, sample.exemplar)
        yield from merged.values()

    def describe(self) -> list[Any]:
        """Return nothing: who registers it need not ask workers that do not run yet."""
        return []


def _families(address: str) -> list[Metric]:
    try:
        asked = urllib.request.Request(f"http://{address}/metrics", headers=_ASKED)
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_SECONDS) as page:  # noqa: S310 - as above
            return list(text_string_to_metric_families(page.read().decode()))
    except (URLError, HTTPException, OSError, ValueError):
        return []

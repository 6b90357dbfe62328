"""Counters and histograms as plain numbers by labels, which a scrape renders.

An instrument of prometheus_client takes a lock, makes texts of its labels and
walks its buckets at each observation; here it is one look-up and an addition.
What Prometheus gets is the same. Numbers are changed by one thread, the
loop's, and read by any.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import INF, floatToGoString

Labels: TypeAlias = tuple[str, ...]
"""The values of a family's labels, in its order. They must be bounded: each combination stays for good."""

_COUNTER_SUFFIX = "_total"
EXEMPLAR_TRACE = "trace_id"
"""What the trace is called in an exemplar, which is where Grafana looks for it (deploy/grafana/provisioning)."""


class Count:
    """One counter of a family: whoever counts adds to ``value``, which never falls."""

    __slots__ = ("created", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.created = time.time()


class Counters(Collector):
    """A family of counters; its name ends with ``_total``."""

    def __init__(self, registry: CollectorRegistry, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._name = name.removesuffix(_COUNTER_SUFFIX)
        self._documentation = documentation
        self._labelnames = tuple(labels)
        self._counts: dict[Labels, Count] = {}
        registry.register(self)

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Count ``amount``, which is not negative, under the labels' values."""
        self.of(labels).value += amount

    def of(self, labels: Labels) -> Count:
        """Return the counter under the labels' values, for whoever counts by it often; from now on it is shown."""
        count = self._counts.get(labels)
        if count is None:
            count = self._counts[labels] = Count()
        return count

    def describe(self) -> Iterable[Metric]:
        """Return the family without its counters."""
        return [Metric(self._name, self._documentation, "counter")]

    def collect(self) -> Iterable[Metric]:
        """Return the family as it is now."""
        (family,) = self.describe()
        for values, count in self._counts.copy().items():
            labels = dict(zip(self._labelnames, values, strict=True))
            family.add_sample(f"{self._name}{_COUNTER_SUFFIX}", labels, count.value)
            _add_created(family, labels, count.created)
        return [family]


class _Histogram:
    """How often a value fell between two bounds, the sum of all, and of each bucket the last value that has a trace."""

    __slots__ = ("counts", "created", "exemplars", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0
        self.created = time.time()
        self.exemplars: dict[int, Exemplar] = {}


class Histograms(Collector):
    """A family of histograms with the same buckets."""

    def __init__(
        self, registry: CollectorRegistry, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        """``bounds`` are the upper ones, in order, none below zero; what is above all has a bucket of its own."""
        self._name = name
        self._documentation = documentation
        self._labelnames = tuple(labels)
        self._bounds = tuple(bounds)
        self._histograms: dict[Labels, _Histogram] = {}
        registry.register(self)

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value under the labels' values; a bound belongs to the bucket below it."""
        histograms = self._histograms
        if labels in histograms:
            # One call less than get(), at each observation.
            histogram = histograms[labels]
        else:
            histogram = histograms[labels] = _Histogram(len(self._bounds) + 1)
        histogram.counts[bisect_left(self._bounds, value)] += 1
        histogram.total += value

    def exemplify(self, labels: Labels, value: float, trace_id: str) -> None:
        """Name the trace, in hexadecimal, that an observed value is of; the last one of a bucket is shown, in OpenMetrics.

        Apart from ``observe``, so that a request without a trace pays nothing. A value that was not observed is left out.
        """
        histogram = self._histograms.get(labels)
        if histogram is not None:
            exemplar = Exemplar({EXEMPLAR_TRACE: trace_id}, value, time.time())
            histogram.exemplars[bisect_left(self._bounds, value)] = exemplar

    def describe(self) -> Iterable[Metric]:
        """Return the family without its histograms."""
        return [Metric(self._name, self._documentation, "histogram")]

    def collect(self) -> Iterable[Metric]:
        """Return the family as it is now."""
        (family,) = self.describe()
        bounds = [floatToGoString(bound) for bound in (*self._bounds, INF)]
        for values, histogram in self._histograms.copy().items():
            labels = dict(zip(self._labelnames, values, strict=True))
            totals = list(accumulate(histogram.counts.copy()))
            exemplars = histogram.exemplars.copy()
            for at, (bound, count) in enumerate(zip(bounds, totals, strict=True)):
                family.add_sample(f"{self._name}_bucket", {**labels, "le": bound}, count, None, exemplars.get(at))
            family.add_sample(f"{self._name}_count", labels, totals[-1])
            family.add_sample(f"{self._name}_sum", labels, histogram.total)
            _add_created(family, labels, histogram.created)
        return [family]


def _add_created(family: Metric, labels: dict[str, str], created: float) -> None:
    """Say since when it is counted, unless prometheus_client is told not to."""
    if os.environ.get("PROMETHEUS_DISABLE_CREATED_SERIES", "").lower() not in {"true", "1", "t"}:
        family.add_sample(f"{family.name}_created", labels, created)

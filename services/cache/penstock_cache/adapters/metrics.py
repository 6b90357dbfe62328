"""What the cache counts, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from penstock_cache.domain.cache import ResponseCache
from penstock_cache.domain.meaning.counts import MeaningCounts
from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Histograms

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.03, 0.045, 0.06, 0.1, 0.25)


class LookMeter:
    """A ``Meter``, and a collector of how long looking by meaning took."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histograms(
            self._registry,
            semconv.METRIC_CACHE_SEMANTIC_SECONDS,
            "Seconds that looking by meaning took, embedding included, by result: hit or miss.",
            ["result"],
            _SECONDS,
        )

    def looked(self, seconds: float, *, is_hit: bool) -> None:
        """Count a look-up."""
        self._seconds.observe(_HIT if is_hit else _MISS, seconds)

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        return self._registry.collect()


class CacheMetrics(Collector):
    """A collector over the counts of a cache; ``meaning`` is None where nothing is matched by meaning."""

    def __init__(self, cache: ResponseCache, meaning: MeaningCounts | None = None) -> None:
        self._cache = cache
        self._meaning = meaning

    def describe(self) -> Iterable[Metric]:
        """Return the first family, without its counters."""
        return [_counter(semconv.METRIC_CACHE_HITS, "Hits, by tier.", "tier", {})]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        stats = self._cache.stats()
        tiers = {"memory": stats.memory_hits, "redis": stats.redis_hits}
        if self._meaning is not None:
            tiers |= {"semantic": self._meaning.hits - self._meaning.alias_hits, "alias": self._meaning.alias_hits}
        yield _counter(semconv.METRIC_CACHE_HITS, "Hits, by tier.", "tier", tiers)
        # A request that was matched by meaning has missed the exact tiers first.
        yield _plain_counter(
            semconv.METRIC_CACHE_MISSES, "Look-ups that found nothing.", stats.misses - stats.semantic_hits
        )
        yield _plain_counter(semconv.METRIC_CACHE_STORES, "Answers stored.", stats.stores)
        if self._meaning is not None:
            yield from self._of_meaning(self._meaning)
            yield _plain_counter(semconv.METRIC_CACHE_EMBEDDED, "Texts embedded for the cache.", stats.embedded)
            trouble = GaugeMetricFamily(
                semconv.METRIC_CACHE_SEMANTIC_TROUBLE, "1 while nothing is matched by meaning, as something fails."
            )
            trouble.add_metric([], float(bool(stats.semantic_trouble)))
            yield trouble

    def _of_meaning(self, counts: MeaningCounts) -> Iterable[Metric]:
        refused = "Near entries that were not served, by reason."
        yield _counter(semconv.METRIC_CACHE_REFUSED, refused, "reason", counts.refused)
        not_compared = "Requests that were not compared by meaning, by reason."
        yield _counter(semconv.METRIC_CACHE_NOT_COMPARED, not_compared, "reason", counts.not_compared)
        not_stored = "Answers that were not stored by meaning, by reason."
        yield _counter(semconv.METRIC_CACHE_NOT_STORED, not_stored, "reason", counts.not_stored)
        evidence = "Answers of near misses compared, by outcome: same, different or unsure."
        yield _counter(semconv.METRIC_CACHE_EVIDENCE, evidence, "outcome", counts.evidence)
        judged = {"right": counts.judged_hits - counts.false_hits, "false": counts.false_hits}
        yield _counter(semconv.METRIC_CACHE_JUDGED_HITS, "Served answers that were judged.", "verdict", judged)
        yield _plain_counter(semconv.METRIC_CACHE_EVICTED, "Entries evicted for room.", counts.evicted)
        if counts.entries is not None:
            entries = GaugeMetricFamily(semconv.METRIC_CACHE_ENTRIES, "Entries that are matched by meaning.")
            entries.add_metric([], counts.entries)
            yield entries


def _counter(name: str, documentation: str, label: str, counts: Mapping[str, float]) -> Metric:
    family: Any = CounterMetricFamily(name, documentation, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _plain_counter(name: str, documentation: str, count: float) -> Metric:
    family: Any = CounterMetricFamily(name, documentation)
    family.add_metric([], count)
    return family


_HIT, _MISS = ("hit",), ("miss",)

"""What the batcher does and what upstreams answer, as metrics and lines in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters
from penstock_embedding.domain.batcher import RanBatch

_LOG = logging.getLogger(__name__)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_WAIT_BUCKETS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RUN_BUCKETS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5)


class BatchMetrics:
    """A ``BatchObserver``, and a collector for whichever registry this process serves."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._texts = Histogram(
            semconv.METRIC_EMBEDDING_BATCH, "Texts that ran together.", buckets=_BATCH_BUCKETS, registry=registry
        )
        self._seconds = Histogram(
            semconv.METRIC_EMBEDDING_RUN, "Seconds a run took.", buckets=_RUN_BUCKETS, registry=registry
        )
        self._waits = Histogram(
            semconv.METRIC_EMBEDDING_WAIT,
            "Seconds from a call's arrival to its first text's run.",
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        tokens = Counter(
            semconv.METRIC_EMBEDDING_TOKENS, "Tokens that ran, by kind: text or padding.", ["kind"], registry=registry
        )
        self._tokens, self._padding = tokens.labels("text"), tokens.labels("padding")
        self._queue = Gauge(semconv.METRIC_EMBEDDING_QUEUE, "Texts that wait for their run.", registry=registry)

    def watch_queue(self, waiting_texts: Callable[[], int]) -> None:
        """Ask ``waiting_texts`` at each scrape."""
        self._queue.set_function(waiting_texts)

    def ran(self, batch: RanBatch) -> None:
        """Count a run."""
        self._texts.observe(batch.texts)
        self._seconds.observe(batch.seconds)
        self._tokens.inc(batch.tokens)
        self._padding.inc(batch.padded_tokens - batch.tokens)

    def waited(self, seconds: float) -> None:
        """Count a call's wait."""
        self._waits.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        yield from self._registry.collect()


class _Standing(Collector):
    """A gauge of each upstream, asked at each scrape."""

    _labelnames = ("upstream",)

    def __init__(self) -> None:
        self.asked: list[Callable[[], Mapping[str, bool]]] = []

    def describe(self) -> list[Metric]:
        """Return the family without its gauges."""
        text = "1 while an upstream of embeddings is left alone, as it fails or asks for time."
        return [Metric(semconv.METRIC_EMBEDDING_LEFT_ALONE, text, "gauge")]

    def collect(self) -> list[Metric]:
        """Return the family as it is now."""
        (family,) = self.describe()
        left_alone = {name: standing for ask in self.asked for name, standing in ask().items()}
        for upstream, is_left_alone in left_alone.items():
            family.add_sample(family.name, {"upstream": upstream}, float(is_left_alone))
        return [family]


class UpstreamMetrics:
    """A ``FailoverObserver``, and a collector."""

    def __init__(self, upstreams: Iterable[str]) -> None:
        """Count from zero for each upstream."""
        registry = self._registry = CollectorRegistry()
        self._attempts = Counters(
            registry,
            semconv.METRIC_EMBEDDING_ATTEMPTS,
            "Attempts at upstreams of embeddings, by outcome: answered, cancelled, or why it failed.",
            ("upstream", "outcome"),
        )
        for upstream in upstreams:
            self._attempts.add((upstream, "answered"), 0)
        self._standing = _Standing()
        registry.register(self._standing)

    def watch_standing(self, standing: Callable[[], Mapping[str, bool]]) -> None:
        """Ask ``standing``, too, at each scrape which upstreams are left alone."""
        self._standing.asked.append(standing)

    def attempted(self, upstream: str, outcome: str) -> None:
        """Count an attempt."""
        self._attempts.add((upstream, outcome))
        if outcome == "key":
            _LOG.error("embedding_key_refused upstream=%s: its key or account is refused", upstream)

    def put_out(self, upstream: str, cause: str) -> None:
        """Say that an upstream is asked no more, but to see whether it is well again."""
        _LOG.warning("embedding_upstream_out upstream=%s cause=%s", upstream, cause)

    def taken_back(self, upstream: str) -> None:
        """Say that it is back."""
        _LOG.info("embedding_upstream_back upstream=%s", upstream)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        yield from self._registry.collect()

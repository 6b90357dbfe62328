"""Requests under a key, and batches, as metrics. Labels are bounded: no key, batch or tenant ever becomes one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters
from penstock_gateway.domain.batches.batch import BatchState
from penstock_gateway.domain.idempotency.observing import CountSent, Sent


class IdempotencyMetrics:
    """Counts requests under a key."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = (
            "Requests under an Idempotency-Key, of inference and other calls: first, joined, replayed, or refused as "
            "in_progress or reused."
        )
        self._sent = Counters(registry, semconv.METRIC_IDEMPOTENT_REQUESTS, told, ("kind", "result"))

    def of(self, kind: str) -> CountSent:
        """Return what counts those of a kind: ``inference``, ``job`` or ``call``."""

        def count(sent: Sent) -> None:
            self._sent.add((kind, sent.value))

        return count


class BatchEndMetrics:
    """Implements ``carrying.BatchObserver`` and ``handing.HandingObserver``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Batches that have ended, by how: completed, failed, expired or cancelled."
        self._ended = Counters(registry, semconv.METRIC_BATCHES_ENDED, told, ("result",))
        told = "Lines of batches that have ended: completed, or failed, which are in the file of errors."
        self._lines = Counters(registry, semconv.METRIC_BATCH_LINES, told, ("result",))

        told = (
            "Lines of batches by what providers were handed of them: handed, answered, or left to be asked one by one."
        )
        self._handed = Counters(registry, semconv.METRIC_BATCH_LINES_OF_PROVIDERS, told, ("upstream", "result"))

    def handed(self, upstream: str, lines: int) -> None:
        """Count lines that a provider was handed."""
        self._handed.add((upstream, "handed"), lines)

    def came_back(self, upstream: str, answered: int, alone: int) -> None:
        """Count the lines of a part that has ended."""
        for result, lines in (("answered", answered), ("alone", alone)):
            if lines:
                self._handed.add((upstream, result), lines)

    def ended(self, state: BatchState, completed: int, failed: int) -> None:
        """Count the batch and its lines."""
        self._ended.add((state.value,))
        for result, lines in (("completed", completed), ("failed", failed)):
            if lines:
                self._lines.add((result,), lines)

"""Feedback as metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters
from penstock_gateway.domain.feedback.judgement import Feedback, Judgement


class FeedbackMetrics:
    """Implements ``GivingObserver``. Labels are bounded: none is a caller's word."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Feedback that was kept: up, down, score or words, and its reason."
        self._given = Counters(registry, semconv.METRIC_FEEDBACK, told, ("kind", "reason"))
        told = "Entries of the cache that feedback disputed: removed, gone before, or failed."
        self._disputed = Counters(registry, semconv.METRIC_FEEDBACK_DISPUTES, told, ("outcome",))

    def given(self, feedback: Feedback) -> None:
        """Count feedback that was kept."""
        self._given.add((_kind(feedback.judgement), feedback.judgement.reason or ""))

    def disputed(self, outcome: str) -> None:
        """Count a dispute."""
        self._disputed.add((outcome,))


class NoFeedbackMetrics:
    """Implements ``GivingObserver`` where nothing is counted."""

    def given(self, feedback: Feedback) -> None:
        """Count nothing."""

    def disputed(self, outcome: str) -> None:
        """Count nothing."""


def _kind(judgement: Judgement) -> str:
    if judgement.thumb is not None:
        return str(judgement.thumb)
    return "words" if judgement.score is None else "score"

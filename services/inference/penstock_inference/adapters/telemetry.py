"""What operators want to know of attempts, as metrics and lines in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from penstock_common.llm.types import Candidate, Recovery
from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters
from penstock_inference.domain.health.place import PlaceName
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.hedging import HedgeOutcome
from penstock_inference.domain.load.gate import Gate

# Upstreams say what they like; what is beyond is counted and not logged.
_MOST_LOGGED = 100
_LABELS = ("upstream", "model")

_log = structlog.get_logger(__name__)


class AttemptTelemetry:
    """Counts answers without a price, breaks within answers, late first tokens, and reasoning that was missing. A collector."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._unpriced = Counters(
            registry,
            semconv.METRIC_UNPRICED,
            "Answers at a tier of service that has no price: billed as if it had been the asked one.",
            _LABELS,
        )
        self._recoveries = Counters(
            registry,
            semconv.METRIC_RECOVERIES,
            "Breaks within answers that another attempt made good, by whose they were and how.",
            (*_LABELS, "way"),
        )
        self._broken = Counters(
            registry,
            semconv.METRIC_BROKEN,
            "Answers that broke off after some of it was sent, and that nobody made whole.",
            _LABELS,
        )
        self._hedges = Counters(
            registry,
            semconv.METRIC_HEDGES,
            "First tokens that were late, by whose they were and what came of a second attempt, or why there was none.",
            (*_LABELS, "outcome"),
        )
        self._reasoning_missing = Counters(
            registry,
            semconv.METRIC_REASONING_MISSING,
            "Attempts without reasoning that stood in the conversation, by why: it moved, was refused, or was lost.",
            (*_LABELS, "why"),
        )
        self._logged: set[tuple[str, str]] = set()

    def unpriced(self, candidate: Candidate, tier: str) -> None:
        """Count an answer, and say of each tier once that it came."""
        self._unpriced.add((candidate.upstream, candidate.model))
        seen = (str(candidate), tier)
        if seen not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(seen)
            _log.warning("service_tier_without_a_price", candidate=str(candidate), tier=tier)

    def recovered(self, recovery: Recovery) -> None:
        """Count a break that was made good."""
        broke, way = recovery.broke, recovery.way.value
        self._recoveries.add((broke.upstream, broke.model, way))
        delivered = recovery.delivered_characters
        _log.info("answer_recovered", broke=str(broke), cause=recovery.cause, way=way, delivered_characters=delivered)

    def broke_off(self, candidate: Candidate, cause: str) -> None:
        """Count an answer that nobody made whole."""
        self._broken.add((candidate.upstream, candidate.model))
        _log.warning("answer_broke_off", broke=str(candidate), cause=cause)

    def hedged(self, candidate: Candidate, outcome: HedgeOutcome) -> None:
        """Count a late first token."""
        self._hedges.add((candidate.upstream, candidate.model, outcome.value))

    def reasoning_missing(self, candidate: Candidate, why: str) -> None:
        """Count an attempt without reasoning that stood in the conversation."""
        self._reasoning_missing.add((candidate.upstream, candidate.model, why))

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        yield from self._registry.collect()


class HealthMetrics:
    """Counts ejections and probes as they happen; reads states, retries and tokens when it is asked. A collector."""

    def __init__(self, health: Health) -> None:
        self._registry = CollectorRegistry()
        self._health = health
        self._ejections = Counters(
            self._registry,
            semconv.METRIC_EJECTIONS,
            "Times that a model at an upstream was left out, by reason.",
            ("upstream", "model", "reason"),
        )
        self._probes = Counters(
            self._registry,
            semconv.METRIC_PROBES,
            "Requests of one token to upstreams that were out, slow or in doubt.",
            ("upstream", "model", "outcome"),
        )

    def changed(self, name: PlaceName, before: State, after: State, reason: str) -> None:
        """Count an ejection; what the operator writes is no label."""
        if after is State.EJECTED:
            self._ejections.add((name.upstream, name.model, reason))
        elif after is State.BY_HAND:
            self._ejections.add((name.upstream, name.model, after.value))

    def probed(self, name: PlaceName, outcome: str) -> None:
        """Count a probe."""
        self._probes.add((name.upstream, name.model, outcome))

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        yield from self._registry.collect()
        yield _states(self._health)
        yield from _retries(self._health)
        yield from _prompts(self._health)


def _states(health: Health) -> Metric:
    family = GaugeMetricFamily(
        semconv.METRIC_UPSTREAM_STATE,
        "1 for the state that a model at an upstream's endpoint is in.",
        labels=("upstream", "model", "endpoint", "state"),
    )
    for place in health.states():
        for state in State:
            labels = (place.name.upstream, place.name.model, place.name.endpoint, state.value)
            family.add_metric(labels, float(place.state is state))
    return family


def _retries(health: Health) -> Iterable[Metric]:
    retries = CounterMetricFamily(semconv.METRIC_RETRIES, "Second attempts at the same upstream.", labels=("upstream",))
    refused = CounterMetricFamily(
        semconv.METRIC_RETRIES_REFUSED,
        "Second attempts that were not made because the upstream's retry budget was spent.",
        labels=("upstream",),
    )
    for name, budget in health.budgets():
        retries.add_metric((name,), budget.spent)
        refused.add_metric((name,), budget.refused)
    return retries, refused


def _prompts(health: Health) -> Iterable[Metric]:
    asked = CounterMetricFamily(
        semconv.METRIC_UPSTREAM_INPUT_TOKENS, "Tokens of what was asked, as who answered counted.", labels=_LABELS
    )
    cached = CounterMetricFamily(
        semconv.METRIC_UPSTREAM_CACHED_INPUT_TOKENS,
        "Those of them that the provider's prompt cache had.",
        labels=_LABELS,
    )
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for place in list(health.places.values()):
        labels = place.name.upstream, place.name.model
        all_tokens, cached_tokens = counts.get(labels, (0, 0))
        counts[labels] = all_tokens + place.input_tokens, cached_tokens + place.cached_input_tokens
    for labels, (all_tokens, cached_tokens) in counts.items():
        asked.add_metric(labels, all_tokens)
        cached.add_metric(labels, cached_tokens)
    return asked, cached


class LimitMetrics:
    """Tells of the limits before upstreams: who is inside, who waits, how many fit, how many were shed. A collector."""

    def __init__(self, gates: Callable[[], Iterable[tuple[str, Gate]]]) -> None:
        self._gates = gates

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        inside = GaugeMetricFamily(
            semconv.METRIC_UPSTREAM_INSIDE, "Requests at an upstream that has limits.", labels=["upstream"]
        )
        waiting = GaugeMetricFamily(
            semconv.METRIC_UPSTREAM_WAITING, "Requests that wait for an upstream's limits.", labels=["upstream"]
        )
        limit = GaugeMetricFamily(
            semconv.METRIC_UPSTREAM_LIMIT,
            "Requests that an upstream takes at once, said or learned.",
            labels=["upstream"],
        )
        shed = CounterMetricFamily(
            semconv.METRIC_UPSTREAM_SHED,
            "Requests that an upstream's limits did not let in in time.",
            labels=["upstream"],
        )
        upstreams: dict[str, list[Gate]] = {}
        for name, gate in self._gates():
            upstreams.setdefault(name, []).append(gate)
        for name, gates in upstreams.items():
            # One that a reload has replaced is there until its last answer has ended; the newest comes last.
            inside.add_metric([name], sum(gate.in_flight for gate in gates))
            waiting.add_metric([name], sum(len(gate.queue) for gate in gates))
            shed.add_metric([name], sum(gate.shed for gate in gates))
            if gates[-1].most_inside != float("inf"):
                limit.add_metric([name], gates[-1].most_inside)
        return (inside, waiting, limit, shed)

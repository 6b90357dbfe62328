"""What the router decided for models with routes, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from penstock_common.telemetry import semconv
from penstock_router.domain.choosing import Shadowed
from penstock_router.domain.sight import Sight, Way


class RouterMetrics(Collector):
    """A collector over what a ``Sight`` has counted."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    def describe(self) -> Iterable[Metric]:
        """Return the first family, without its counters."""
        return [_decisions({})]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        sight = self._sight
        yield _decisions(sight.decisions.copy())
        told = "Decisions for prompts that told too little to be decided by."
        yield _counter(semconv.METRIC_ROUTER_ABSTENTIONS, told, ["fork"], _by_fork(sight.abstentions.copy()))
        told = "Decisions by a prompt's words alone, as its vector was not to be had in time."
        yield _counter(semconv.METRIC_ROUTER_WITHOUT_VECTOR, told, ["fork"], _by_fork(sight.without_vector.copy()))
        told = "How often a public model that came before could not take the request."
        yield _counter(semconv.METRIC_ROUTER_PASSED_OVER, told, ["fork", "model"], sight.passed_over.copy())
        told = "Prompts by what was seen of them and whom they went to, and by what the shadow saw and whom it would have chosen."
        shadowed = {(*each, str(each.moves).lower()): count for each, count in sight.shadowed.copy().items()}
        yield _counter(semconv.METRIC_ROUTER_SHADOWED, told, (*Shadowed._fields, "moves"), shadowed)
        drift = GaugeMetricFamily(
            semconv.METRIC_ROUTER_DRIFT,
            "How far recent prompts are from the usual ones by task and complexity: their population stability index.",
            labels=["fork"],
        )
        for fork, index in sight.drift().items():
            drift.add_metric([fork], index)
        yield drift


def _decisions(counts: Mapping[Way, int]) -> Metric:
    told = (
        "Requests for models with routes, by whom they went to, the line that decided, and what was seen of the prompt."
    )
    return _counter(semconv.METRIC_ROUTER_DECISIONS, told, Way._fields, counts)


def _by_fork(counts: Mapping[str, int]) -> dict[tuple[str], int]:
    return {(fork,): count for fork, count in counts.items()}


def _counter(name: str, documentation: str, labels: Sequence[str], counts: Mapping[Any, int]) -> Metric:
    family: Any = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family

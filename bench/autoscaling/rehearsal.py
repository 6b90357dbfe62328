"""One rehearsal: arrivals, pods, what Prometheus scrapes of them, what the chart asks of it, and who scales by the answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autoscaling.demand import Question, questions, values
from autoscaling.hpa import SYNC_SECONDS, Behavior, HorizontalPodAutoscaler, by_average, by_pods
from autoscaling.keda import Fallback, Observed, ScaledObject
from autoscaling.loads import CLASSES, Arrivals
from autoscaling.promql import Prometheus
from autoscaling.service import Kind, Pod, Service

SCRAPE_SECONDS = 15
_SCRAPE_AT = 4
"""Of those 15 s; scrapes and looks fall where they like."""
_NAMESPACE = "default"
_UPSTREAM, _MODEL = "gpu", "chat"
_INSIDE_ABOVE = 0.25
"""Of what a GPU works on at once, so much more lets an upstream's learned limit in: it waits within vLLM."""
_KV_OF_FULL = 0.9
_METRICS_SERVER_SECONDS = 15
_LOOKS_A_SECOND, _LAG_SECONDS = 4.0, 0.001
"""Event loops are taken to keep up: how late one gets as its core fills is not modelled, so that lag decides nothing here."""

Sample = tuple[str, dict[str, str], float]


@dataclass(frozen=True)
class Moment:
    """Fifteen seconds: what was at their end, and what happened in them."""

    second: int
    wanted: int
    ready: int
    in_hand: int
    came: tuple[int, ...]
    dropped: tuple[int, ...]
    wait_seconds: float
    """The mean of those who began."""


@dataclass
class Rehearsal:
    """One run; ``away`` says in which seconds Prometheus cannot be asked."""

    kind: Kind
    how: str = "keda"
    changes: Mapping[str, Any] = field(default_factory=dict)
    away: Callable[[int], bool] = lambda _: False

    def run(self, arrivals: Arrivals) -> list[Moment]:
        """Return what became of the load."""
        chart = values(_with_upstream(self.changes))
        service, prometheus = Service(self.kind, self.kind.least), Prometheus()
        scaler = _Scaler(self.kind, self.how, chart, service, prometheus)
        exporter = _Exporter(service)
        moments: list[Moment] = []
        before = _Totals.of(service)
        for now, arrived in enumerate(arrivals):
            service.tick(now, arrived)
            exporter.tick(now)
            if now % SCRAPE_SECONDS == _SCRAPE_AT:
                prometheus.scrape(now, exporter.samples(now))
            prometheus.away = self.away(now)
            scaler.look(now)
            if (now + 1) % SYNC_SECONDS == 0:
                after = _Totals.of(service)
                moments.append(_moment(now, service, before, after))
                before = after
        return moments


def _with_upstream(changes: Mapping[str, Any]) -> dict[str, Any]:
    triton = changes.get("triton", {})
    names = {"upstreams": [_UPSTREAM], "publicModels": [_MODEL]}
    return {**changes, "triton": {**triton, "autoscaling": {**triton.get("autoscaling", {}), **names}}}


@dataclass(frozen=True)
class _Totals:
    came: tuple[int, ...]
    dropped: tuple[int, ...]
    began: int
    waited: int

    @classmethod
    def of(cls, service: Service) -> _Totals:
        return cls(tuple(service.came), tuple(service.dropped), service.began, service.waited_seconds)


def _moment(now: int, service: Service, before: _Totals, after: _Totals) -> Moment:
    began = after.began - before.began
    return Moment(
        second=now + 1,
        wanted=service.wanted,
        ready=sum(pod.ready(now) for pod in service.pods),
        in_hand=service.running + service.queued,
        came=tuple(b - a for a, b in zip(before.came, after.came, strict=True)),
        dropped=tuple(b - a for a, b in zip(before.dropped, after.dropped, strict=True)),
        wait_seconds=(after.waited - before.waited) / began if began else 0.0,
    )


class _Exporter:
    """What the processes show, by the names that they use. A pod shows something once it is ready."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def _within(self, now: int) -> float:
        """Return how many wait within Triton and vLLM, in all pods."""
        kind = self._service.kind
        ready = sum(pod.ready(now) for pod in self._service.pods)
        return min(self._service.queued, ready * kind.at_once * _INSIDE_ABOVE)

    def tick(self, now: int) -> None:
        """Count a second."""
        ready = [pod for pod in self._service.pods if pod.ready(now)]
        for pod in ready:
            pod.queued_seconds += self._within(now) / len(ready)

    def samples(self, now: int) -> Iterator[Sample]:
        """Yield every sample of a scrape."""
        there = [pod for pod in self._service.pods if now >= pod.ready_at]
        space = {"namespace": _NAMESPACE}
        yield "up", {**space, "job": "penstock", "role": "inference", "pod": "inference-0"}, 1.0
        if self._service.kind.role != "gateway":
            yield "up", {**space, "job": "penstock", "role": "gateway", "pod": "gateway-0"}, 1.0
        if self._service.kind.role == "triton":
            yield from self._of_upstream(space, self._within(now))
            yield from self._of_triton(space, there, self._within(now))
        else:
            yield from self._of_role(space, there, now)

    def _of_role(self, space: dict[str, str], there: Sequence[Pod], now: int) -> Iterator[Sample]:
        role = self._service.kind.role
        queued = self._service.queued / max(len(there), 1)
        for pod in there:
            value = pod.running + (0 if pod.leaving else queued)
            yield "penstock_requests_in_flight", {**space, "role": role, "pod": pod.name}, value
            yield "penstock_service_calls_in_flight", {**space, "service": role, "pod": pod.name}, value
            labels = {**space, "role": role, "pod": pod.name}
            yield "up", {**labels, "job": "penstock"}, 1.0
            looks = _LOOKS_A_SECOND * float(now - pod.ready_at)
            yield "penstock_event_loop_lag_seconds_count", labels, looks
            yield "penstock_event_loop_lag_seconds_sum", labels, _LAG_SECONDS * looks

    def _of_upstream(self, space: dict[str, str], within: float) -> Iterator[Sample]:
        service = self._service
        yield "penstock_requests_total", {**space, "model": _MODEL, "pod": "gateway-0"}, float(sum(service.came))
        for pod in ("inference-0", "inference-1"):
            labels = {**space, "upstream": _UPSTREAM, "pod": pod}
            yield "penstock_upstream_requests_inside", labels, (service.running + within) / 2
            yield "penstock_upstream_requests_waiting", labels, (service.queued - within) / 2

    def _of_triton(self, space: dict[str, str], there: Sequence[Pod], within: float) -> Iterator[Sample]:
        kind = self._service.kind
        for pod in there:
            labels = {**space, "pod": pod.name}
            yield "up", {**labels, "job": "triton"}, 1.0
            # Triton hands all on to vLLM, which has the queue.
            yield "nv_inference_pending_request_count", labels, 0.0
            yield "vllm:num_requests_waiting", labels, within / len(there)
            yield "vllm:kv_cache_usage_perc", labels, _KV_OF_FULL * pod.running / kind.at_once
            yield "nv_inference_compute_infer_duration_us", labels, pod.busy_seconds * 1e6
            yield "nv_inference_queue_duration_us", labels, pod.queued_seconds * 1e6


class _Scaler:
    """KEDA with its HPA, or an HPA alone, as the chart writes them."""

    def __init__(self, kind: Kind, how: str, chart: dict[str, Any], service: Service, prometheus: Prometheus) -> None:
        scaling = chart["scaling"]
        self._kind, self._service, self._prometheus = kind, service, prometheus
        self._questions: list[Question] = questions(kind.role, chart, _NAMESPACE)
        self._hpa = HorizontalPodAutoscaler(max(kind.least, 1), kind.most, Behavior.of(scaling))
        self._cpu = scaling["cpuPercent"] / 100 if kind.cores else None
        self._busy: dict[str, float] = {}
        self._keda = (
            ScaledObject(kind.least, scaling["cooldownSeconds"], _fallback(kind, scaling)) if how == "keda" else None
        )
        self._polling = scaling["pollingSeconds"] if self._keda else SYNC_SECONDS

    def look(self, now: int) -> None:
        """Look, if it is time to; KEDA's poll and the HPA's question of the same moment are one observation."""
        synced = now % SYNC_SECONDS == 0
        if not synced and now % self._polling:
            return
        current = self._service.wanted
        observed = {each.name: self._observe(each, now, current) for each in self._questions}
        wanted = self._keda.poll(now, current, observed) if self._keda else current
        if synced:
            wanted = self._hpa.look(now, wanted, self._proposals(now, wanted, observed))
        if wanted != current:
            self._service.scale(now, wanted)

    def _observe(self, question: Question, now: int, current: int) -> Observed:
        value = self._prometheus.ask(question.query, now)
        if self._keda is None:
            return Observed(value)
        return self._keda.observe(question.name, value, question.target, current)

    def _proposals(self, now: int, current: int, observed: Mapping[str, Observed]) -> list[int | None]:
        asked = [(each.target, observed[each.name].value) for each in self._questions]
        found = [None if value is None else by_average(current, value, target) for target, value in asked]
        return [*found, self._by_cpu(now, current)] if self._cpu else found

    def _by_cpu(self, now: int, current: int) -> int | None:
        there = [pod for pod in self._service.pods if not pod.leaving]
        known = [pod for pod in there if now >= pod.ready_at + _METRICS_SERVER_SECONDS]
        used = [self._utilisation(pod) for pod in known]
        self._busy = {pod.name: pod.busy_seconds for pod in there}
        return by_pods(current, used, len(there) - len(known), self._cpu or 1.0)

    def _utilisation(self, pod: Pod) -> float | None:
        before = self._busy.get(pod.name)
        if before is None:
            return None
        return (pod.busy_seconds - before) / _METRICS_SERVER_SECONDS / self._kind.at_once * self._kind.cores


def _fallback(kind: Kind, scaling: Mapping[str, Any]) -> Fallback | None:
    """Return what ``penstock.scaledobject`` writes: none where there may be none."""
    if kind.role == "triton" and kind.least == 0:
        return None
    said = scaling["fallback"]
    replicas = kind.least if kind.role == "triton" else said["replicas"]
    return Fallback(said["failureThreshold"], replicas, "currentReplicasIfHigher")


@dataclass(frozen=True)
class Summary:
    """What a run comes to."""

    came: dict[str, int]
    dropped: dict[str, int]
    worst_wait_seconds: float
    most: int
    last: int
    changes: int
    turns: int
    """Changes of direction."""
    pod_hours: float


def summary(moments: Sequence[Moment]) -> Summary:
    """Return the figures of a run."""
    wanted = [moment.wanted for moment in moments]
    steps = [b - a for a, b in itertools.pairwise(wanted) if a != b]
    return Summary(
        came=_by_class([moment.came for moment in moments]),
        dropped=_by_class([moment.dropped for moment in moments]),
        worst_wait_seconds=round(max(moment.wait_seconds for moment in moments), 1),
        most=max(wanted),
        last=wanted[-1],
        changes=len(steps),
        turns=sum(a * b < 0 for a, b in itertools.pairwise(steps)),
        pod_hours=round(sum(wanted) * SYNC_SECONDS / 3600, 2),
    )


def _by_class(each: Sequence[tuple[int, ...]]) -> dict[str, int]:
    return dict(zip(CLASSES, map(sum, zip(*each, strict=True)), strict=True))

"""Jobs as metrics. Labels are bounded: no job, key or tenant ever becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from penstock_common.priority import Priority
from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters, Histograms
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState
from penstock_gateway.domain.jobs.observing import DepthWatch

_WAITS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
_RUNS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)


class JobMetrics:
    """Implements ``observing.JobObserver``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Seconds from when a job was due to the beginning of an attempt."
        self._waits = Histograms(registry, semconv.METRIC_JOB_WAIT, told, ("priority",), _WAITS)
        told = "Seconds that an attempt at a job took."
        self._runs = Histograms(registry, semconv.METRIC_JOB_RUN, told, ("kind",), _RUNS)
        told = "Attempts by how they ended: a state, put_back, handed_back or lost."
        self._attempts = Counters(registry, semconv.METRIC_JOB_ATTEMPTS, told, ("kind", "result"))
        for kind in JobKind:
            # Many are lost at once, and what begins with many has no rise that an alert could see.
            self._attempts.of((kind.value, _LOST))
        told = "Jobs that have ended, by how; dead are those whose attempts have all failed."
        self._ended = Counters(registry, semconv.METRIC_JOBS_ENDED, told, ("kind", "result"))

    def began(self, job: Job, waited: timedelta) -> None:
        """Count the wait."""
        self._waits.observe((job.priority.word,), max(0.0, waited.total_seconds()))

    def attempted(self, job: Job, outcome: str, took: timedelta) -> None:
        """Count the attempt, and the job where it has ended."""
        if outcome != _LOST:
            # Whoever took the job from its worker has counted that.
            self._attempts.add((job.kind.value, outcome))
        self._runs.observe((job.kind.value,), max(0.0, took.total_seconds()))
        if outcome in _ENDS:
            self._ended.add((job.kind.value, outcome))

    def reclaimed(self, job: Job) -> None:
        """Count the attempt that was lost, but not of a job that never began, and the job where it has ended by that."""
        if job.state is not JobState.EXPIRED:
            self._attempts.add((job.kind.value, _LOST))
        if job.state.is_end:
            self._ended.add((job.kind.value, job.state.value))


_LOST = "lost"
_ENDS = frozenset(state.value for state in JobState if state.is_end)


class DepthCollector(Collector):
    """How many jobs wait and run, and how long the first has waited: the same from every process, so take the maximum."""

    def __init__(self, watch: DepthWatch, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._watch = watch
        self._now = now

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: what there is, is known when it is asked for."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the families as of the last look; none before the first."""
        if self._watch.looked_at is None:
            return
        told = "Jobs of all tenants that wait or run, by priority. Every process says the same: take the maximum."
        depth = GaugeMetricFamily(semconv.METRIC_JOBS_DEPTH, told, labels=("priority", "state"))
        told = "Seconds for which the first job of a priority has been due. Every process says the same."
        oldest = GaugeMetricFamily(semconv.METRIC_JOBS_OLDEST, told, labels=("priority",))
        known = {(each.priority, each.state): each for each in self._watch.depths}
        now = self._now()
        for priority in Priority:
            for state in (JobState.QUEUED, JobState.RUNNING):
                found = known.get((priority, state))
                depth.add_metric((priority.word, state.value), found.jobs if found is not None else 0)
            waiting = known.get((priority, JobState.QUEUED))
            since = waiting.due_since if waiting is not None else None
            oldest.add_metric((priority.word,), max(0.0, (now - since).total_seconds()) if since is not None else 0)
        yield depth
        yield oldest

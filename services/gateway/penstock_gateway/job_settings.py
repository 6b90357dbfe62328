"""Jobs, as the configuration says them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock_common.configuration import Duration, Section
from penstock_common.faults import refuse
from penstock_common.priority import PRIORITIES, Priority
from penstock_gateway.domain.jobs.lanes import PATIENCE, Bounds
from penstock_gateway.domain.jobs.terms import MAX_ATTEMPTS, MAX_DEADLINE, MAX_RESULT_TTL, UsualTerms

_POSITIVE = (
    "deadline",
    "result_ttl",
    "kept",
    "lease",
    "heartbeat",
    "poll",
    "reclaim_every",
    "first_retry",
    "longest_retry",
    "event_interval",
)


class JobPatience(Section):
    """How long jobs wait behind those that matter more, before one of ten places is theirs."""

    default: Duration = PATIENCE[Priority.DEFAULT]
    """Behind critical ones."""
    sheddable: Duration = PATIENCE[Priority.SHEDDABLE]
    """Behind all others."""


class JobSettings(Section):
    """Requests that are accepted now and answered later ([jobs](jobs.md))."""

    enabled: bool = True
    """Whether any are accepted; those that were before are still run."""
    run_here: bool = True
    """Whether the gateway's own processes run jobs. Off where workers of their own do: `penstock serve worker`."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 16
    """Jobs that one process runs at once; sheddable ones fill 70 % of that, and default ones 80 %."""
    per_tenant: Annotated[int, Field(ge=0)] = 0
    """Jobs of one tenant that run at once, over all processes; 0: no bound."""
    per_target: Annotated[int, Field(ge=0)] = 0
    """Jobs for one public model, or knowledge base, that run at once, over all processes; 0: no bound."""
    max_queued: Annotated[int, Field(ge=1)] = 200_000
    """Jobs of one tenant that wait; then no more are accepted."""
    priority: Annotated[str, Field(pattern=f"^({'|'.join(PRIORITIES)})$")] = Priority.SHEDDABLE.word
    """Of a job that says none: `critical`, `default` or `sheddable`."""
    patience: JobPatience = JobPatience()
    watchers: Annotated[int, Field(ge=1)] = 100
    """Jobs that one key watches at once, in each process; then `WatchJob` is refused, and `GetJob` still answers."""
    max_attempts: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)] = 5
    """Of a job that says nothing; waiting for an allowance is none."""
    first_retry: Duration = timedelta(seconds=5)
    """Before the second attempt; twice that before the third, and so on, a fifth more or less."""
    longest_retry: Duration = timedelta(minutes=5)
    """Before any attempt."""
    deadline: Duration = timedelta(hours=24)
    """From acceptance on, of a job that says none; at most 7d."""
    attempt_timeout: Duration = timedelta(minutes=10)
    """Of one attempt at an answer or at vectors."""
    result_ttl: Duration = timedelta(hours=24)
    """How long the result of a job is kept that says nothing; at most 30d."""
    kept: Duration = timedelta(days=30)
    """How long it is known how a job ended."""
    lease: Duration = timedelta(seconds=30)
    """How long a job is a worker's that is not heard of any more."""
    heartbeat: Duration = timedelta(seconds=10)
    """How often a worker is heard of; at most a third of the lease."""
    poll: Duration = timedelta(seconds=1)
    """How often a worker with room looks for jobs, and a watcher for events, where nothing tells them earlier."""
    reclaim_every: Duration = timedelta(seconds=5)
    """How often a process looks for jobs of workers that are gone, that are late, and that are old."""
    event_interval: Duration = timedelta(milliseconds=200)
    """What of an answer comes within it is kept for watchers as one event."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        refuse(((name,), "it must be longer than nothing") for name in _POSITIVE if getattr(self, name) <= timedelta())
        if self.heartbeat * 3 > self.lease:
            refuse([(("heartbeat",), "at most a third of lease is expected")])
        if self.deadline > MAX_DEADLINE:
            refuse([(("deadline",), "at most 7d is expected")])
        if self.result_ttl > MAX_RESULT_TTL:
            refuse([(("result_ttl",), "at most 30d is expected")])
        if self.longest_retry < self.first_retry:
            refuse([(("longest_retry",), "it must not be shorter than first_retry")])
        return self

    @property
    def bounds(self) -> Bounds:
        """Of jobs that run at once."""
        return Bounds(per_tenant=self.per_tenant, per_target=self.per_target)

    @property
    def patience_of(self) -> dict[Priority, timedelta]:
        """How long each priority waits behind others."""
        return {**PATIENCE, Priority.DEFAULT: self.patience.default, Priority.SHEDDABLE: self.patience.sheddable}

    @property
    def usual(self) -> UsualTerms:
        """What holds of a job that says nothing."""
        return UsualTerms(
            priority=PRIORITIES[self.priority],
            deadline=self.deadline,
            max_attempts=self.max_attempts,
            result_ttl=self.result_ttl,
            max_queued=self.max_queued,
        )

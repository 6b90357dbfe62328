"""What is counted of jobs that are taken from their workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from penstock_common.priority import Priority
from penstock_gateway.adapters.job_metrics import JobMetrics
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def job(state: JobState) -> Job:
    return Job(
        id="job_1", tenant="acme", key_id="key_1", kind=JobKind.CHAT, target="fast", priority=Priority.DEFAULT, state=state,
        surface="jobs", request_id="req_1", created_at=NOW, due_at=NOW, deadline_at=NOW, max_attempts=2,
        result_ttl=timedelta(days=1),
    )  # fmt: skip


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def lost(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("penstock_job_attempts_total", {"kind": "chat", "result": "lost"})


def test_an_attempt_is_lost_once_its_job_is_taken_from_a_worker_whether_or_not_that_one_lives(registry):
    metrics = JobMetrics(registry)
    # An alert looks for a rise, which the first of all could not be.
    assert lost(registry) == 0
    metrics.reclaimed(job(JobState.QUEUED))
    metrics.reclaimed(job(JobState.DEAD))
    assert lost(registry) == 2
    # The worker lives, and finds out.
    metrics.attempted(job(JobState.RUNNING), "lost", timedelta(seconds=1))
    assert lost(registry) == 2


def test_a_job_that_expires_while_it_waits_has_lost_no_attempt(registry):
    metrics = JobMetrics(registry)
    metrics.reclaimed(job(JobState.EXPIRED))
    assert lost(registry) == 0
    assert registry.get_sample_value("penstock_jobs_ended_total", {"kind": "chat", "result": "expired"}) == 1

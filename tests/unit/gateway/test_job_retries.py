"""What becomes of a job whose attempt has failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock_common import errors
from penstock_common.priority import Priority
from penstock_gateway.domain.jobs.job import Job, JobEnd, JobError, JobKind, JobState
from penstock_gateway.domain.jobs.ports import Requeued
from penstock_gateway.domain.jobs.retrying import Backoff, after_failure, job_error
from penstock_gateway.domain.life.admission import BudgetExceeded, BudgetReserved, TurnedAway

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BACKOFF = Backoff(first=timedelta(seconds=5), longest=timedelta(minutes=5))
FINAL = [
    errors.InvalidRequest("x"),
    errors.UnsupportedParameter("x"),
    errors.ContextLengthExceeded("x"),
    errors.InvalidCredentials("x"),
    errors.ScopeMissing("x"),
    errors.ModelNotPermitted("x"),
    errors.ModelNotFound("x"),
    errors.NotCached("x"),
    errors.NothingRelevant("x"),
    errors.ResourceNotFound("x"),
    errors.ContentRefused("x"),
    errors.GuardrailRefused("x"),
]
AGAIN = [
    errors.UpstreamFailed("x"),
    errors.UpstreamTimeout("x"),
    errors.NoHealthyUpstream("x"),
    errors.ServiceUnavailable("x"),
    errors.Overloaded("x"),
    errors.DeadlineExceeded("x"),
    errors.InternalError(),
    errors.PeerNotPermitted("x"),
    ValueError("a secret"),
]


def job(**changed):
    values = {
        "id": "job_1", "tenant": "acme", "key_id": "k", "kind": JobKind.CHAT, "target": "m",
        "priority": Priority.SHEDDABLE, "state": JobState.RUNNING, "surface": "grpc", "request_id": "r",
        "created_at": NOW, "due_at": NOW, "deadline_at": NOW + timedelta(hours=1), "max_attempts": 5,
        "result_ttl": timedelta(hours=1), "attempts": 1, "epoch": 1,
    }  # fmt: skip
    return Job(**{**values, **changed})


def after(error, chance=0.5, **changed):
    return after_failure(job(**changed), error, NOW, BACKOFF, lambda: chance)


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_what_would_fail_again_has_failed(error):
    assert after(error) == JobEnd(state=JobState.FAILED, error=job_error(error))


@pytest.mark.parametrize("error", AGAIN, ids=lambda error: type(error).__name__)
def test_what_may_pass_is_tried_again_up_to_its_last_attempt(error):
    assert after(error) == Requeued(due_at=NOW + timedelta(seconds=5), error=job_error(error))
    assert after(error, attempts=5) == JobEnd(state=JobState.DEAD, error=job_error(error))


def test_each_error_of_ours_is_sorted():
    kinds = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PenstockError)
    }
    for kind in kinds - {errors.PenstockError}:
        becomes = after(kind("x"))
        assert isinstance(becomes, JobEnd | Requeued)
        assert becomes.error.reason == job_error(kind("x")).reason


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40)])
def test_each_wait_is_twice_the_one_before_a_fifth_more_or_less(attempts, seconds):
    for chance, factor in ((0.5, 1.0), (0.0, 0.8), (1.0, 1.2)):
        becomes = after(errors.UpstreamFailed("x"), chance, attempts=attempts)
        assert becomes.due_at == NOW + timedelta(seconds=seconds * factor)


def test_no_wait_is_longer_than_the_longest():
    assert BACKOFF.before(9, lambda: 0.5) == timedelta(minutes=5)
    assert BACKOFF.before(10_000, lambda: 0.5) == timedelta(minutes=5)


def test_who_says_when_to_come_again_is_believed_where_that_is_later():
    late, soon = (errors.Overloaded("x", retry_after=timedelta(seconds=seconds)) for seconds in (60, 1))
    assert after(late, 0.0).due_at == NOW + timedelta(seconds=60)
    assert after(soon, 0.5).due_at == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    "error",
    [
        errors.RateLimited("x", retry_after=timedelta(seconds=40)),
        BudgetReserved("x", retry_after=timedelta(seconds=40)),
        TurnedAway("x", retry_after=timedelta(seconds=40)),
    ],
)
def test_what_a_limit_refuses_waits_for_its_allowance_and_loses_no_attempt(error):
    assert after(error, 0.0, attempts=5) == Requeued(
        due_at=NOW + timedelta(seconds=40), error=job_error(error), counts=False
    )


def test_who_is_refused_again_and_again_looks_less_often():
    error = errors.RateLimited("x", retry_after=timedelta(milliseconds=10))
    waits = [after(error, 0.0, attempts=1, epoch=epoch).due_at - NOW for epoch in (1, 2, 3, 20)]
    assert waits == [timedelta(seconds=seconds) for seconds in (1, 2, 4, 30)]


def test_no_allowance_is_waited_for_beyond_the_deadline():
    error = errors.RateLimited("x", retry_after=timedelta(hours=3))
    assert after(error).due_at == NOW + timedelta(hours=1)


def test_a_quota_is_waited_for_where_it_begins_anew_before_the_deadline():
    soon = BudgetExceeded("x", resets_at="2026-11-30T12:30:00Z")
    becomes = after(soon, 0.0)
    assert becomes == Requeued(
        due_at=NOW + timedelta(minutes=30, seconds=1), error=JobError("QUOTA_EXHAUSTED", "x"), counts=False
    )
    for never in ("2026-11-30T13:00:00Z", ""):
        assert after(BudgetExceeded("x", resets_at=never)).state is JobState.FAILED


def test_a_job_whose_deadline_comes_before_its_next_attempt_has_expired():
    becomes = after(errors.UpstreamFailed("It broke."), deadline_at=NOW + timedelta(seconds=3))
    assert (becomes.state, becomes.error.reason) == (JobState.EXPIRED, "DEADLINE_EXCEEDED")
    assert "It broke." in becomes.error.message
    assert after(errors.UpstreamFailed("x"), deadline_at=NOW).state is JobState.EXPIRED


def test_what_is_not_meant_for_callers_is_not_told():
    assert job_error(ValueError("a secret")) == JobError("INTERNAL", errors.InternalError().message)
    assert job_error(TurnedAway("x")) == JobError("OVERLOADED", "x")

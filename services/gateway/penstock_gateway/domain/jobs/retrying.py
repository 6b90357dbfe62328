"""What becomes of a job whose attempt has failed: it ends, it waits for its next attempt, or it waits for its allowance."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from penstock_common.errors import (
    AddressNotPermitted,
    ContentRefused,
    ContextLengthExceeded,
    GuardrailRefused,
    InternalError,
    InvalidCredentials,
    InvalidRequest,
    ModelNotFound,
    ModelNotPermitted,
    NotCached,
    NothingRelevant,
    Overloaded,
    PenstockError,
    QuotaExhausted,
    RateLimited,
    ResourceChanged,
    ResourceExists,
    ResourceNotFound,
    ResourceState,
    RightsExceeded,
    ScopeMissing,
    ServiceUnavailable,
    UnsupportedParameter,
)
from penstock_gateway.domain.jobs.job import Job, JobEnd, JobError, JobState
from penstock_gateway.domain.jobs.ports import Requeued
from penstock_gateway.domain.life.admission import TurnedAway

# The same request, made again later, fails as well.
_FINAL = (
    InvalidRequest,
    UnsupportedParameter,
    ContextLengthExceeded,
    InvalidCredentials,
    ScopeMissing,
    AddressNotPermitted,
    RightsExceeded,
    ModelNotPermitted,
    ModelNotFound,
    NotCached,
    NothingRelevant,
    ResourceNotFound,
    ResourceExists,
    ResourceState,
    ResourceChanged,
    ContentRefused,
    GuardrailRefused,
)
_JITTER = 0.2
# Who is told to come at once comes a little later: others were told the same.
_LEAST_WAIT = timedelta(seconds=1)
_LONGEST_LEAST_WAIT = timedelta(seconds=30)
_LATE = "DEADLINE_EXCEEDED"

Chance = Callable[[], float]
"""Returns a number from 0 to 1, another one each time."""


_by_chance: Chance = random.random  # noqa: S311 - spreads what comes at once


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long is waited before a second attempt, and before any; in between it doubles."""

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=5)

    def before(self, attempt: int, chance: Chance = _by_chance) -> timedelta:
        """Return how long is waited before the attempt of a number, from 2 on: a fifth more or less than is usual."""
        usual = min(self.longest, self.first * 2 ** min(attempt - 2, 32))
        return usual * (1 + _JITTER * (2 * chance() - 1))


def job_error(error: BaseException) -> JobError:
    """Return what is told of a failure; what is not meant for callers stays in the log."""
    told = error if isinstance(error, PenstockError) else InternalError()
    for kind in type(told).__mro__:
        if kind.__module__ == PenstockError.__module__:
            return JobError(_reason_of(kind), told.message)
    raise AssertionError("every error of ours descends from PenstockError")


def is_final(error: BaseException) -> bool:
    """Return whether the same request, made again later, fails as well."""
    return isinstance(error, _FINAL)


def after_failure(
    job: Job, error: BaseException, now: datetime, backoff: Backoff, chance: Chance = _by_chance
) -> JobEnd | Requeued:
    """Return what becomes of a job whose attempt ``error`` has ended just now.

    What would fail again ends it as failed. A limit that refuses has it wait until its allowance is back, which is no
    attempt; so has a quota that begins anew before the job's deadline, and a worker that is full or leaves. All else
    is an attempt that failed: the next one comes after a while, or as late as the error says, and after the last the
    job is dead. A job whose deadline comes before its next attempt has expired.
    """
    told = job_error(error)
    if isinstance(error, _FINAL):
        return JobEnd(state=JobState.FAILED, error=told)
    if isinstance(error, QuotaExhausted):
        resets_at = _moment(error.resets_at)
        if resets_at is None or resets_at >= job.deadline_at:
            return JobEnd(state=JobState.FAILED, error=told)
        return Requeued(due_at=max(resets_at, now) + _spread(_LEAST_WAIT, chance), error=told, counts=False)
    if isinstance(error, RateLimited | TurnedAway):
        # Twice as long each time: nobody knows when a place comes free, and each look is told to those who watch.
        least = min(_LONGEST_LEAST_WAIT, _LEAST_WAIT * 2 ** min(max(0, job.epoch - job.attempts), 16))
        wait = _spread(max(error.retry_after, least), chance)
        # It has its place in the queue up to its deadline; whoever ends it there says why it waited.
        return Requeued(due_at=min(now + wait, max(now, job.deadline_at)), error=told, counts=False)
    if now >= job.deadline_at:
        return JobEnd(state=JobState.EXPIRED, error=told)
    if job.attempts >= job.max_attempts:
        return JobEnd(state=JobState.DEAD, error=told)
    wait = backoff.before(job.attempts + 1, chance)
    if isinstance(error, Overloaded | ServiceUnavailable):
        wait = max(wait, _spread(error.retry_after, chance))
    if now + wait >= job.deadline_at:
        text = f"The job's deadline comes before its next attempt. The last one: {told.message}"
        return JobEnd(state=JobState.EXPIRED, error=JobError(_LATE, text))
    return Requeued(due_at=now + wait, error=told)


def _spread(wait: timedelta, chance: Chance) -> timedelta:
    """Return up to a fifth more, so that those who wait for one thing do not all come at once."""
    return wait * (1 + _JITTER * chance())


def _reason_of(kind: type[BaseException]) -> str:
    """Return the value of ErrorReason for an error, without its prefix."""
    if kind is InternalError or kind is PenstockError:
        return "INTERNAL"
    name = kind.__name__
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).lstrip("_").upper()


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

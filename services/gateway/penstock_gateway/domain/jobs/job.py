"""A job: a request that was accepted, and how it stands."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from penstock_common.priority import Priority

ID_PREFIX = "job_"
WORKER_LOST = "WORKER_LOST"
"""The reason of an attempt whose worker was not heard of any more."""
_RANDOM_BYTES = 10
_MOMENT_DIGITS = 12
_ID = re.compile(rf"{ID_PREFIX}[0-9a-f]{{{_MOMENT_DIGITS + 2 * _RANDOM_BYTES}}}")


class JobKind(StrEnum):
    """What is asked for."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    INGEST = "ingest"
    """That a document is taken into a knowledge base."""
    BATCH = "batch"
    """That the lines of a file become jobs, and their results two files: nobody's request, but work of ours."""


class JobState(StrEnum):
    """How a job stands. The last five are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Another attempt would fail as well: the request is wrong, or may not be made any more."""
    DEAD = "dead"
    """All its attempts have failed: a dead letter, which can be redriven."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """Its deadline passed."""

    @property
    def is_end(self) -> bool:
        """Whether nothing follows, unless it is redriven."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobError(msgspec.Struct, frozen=True):
    """Why an attempt, or a job, has failed: a value of ErrorReason without its prefix, and words for the caller."""

    reason: str
    message: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job without what it asks and what came of it.

    ``target`` is the public model, or the knowledge base, that it is for. ``due_at``: not before. ``epoch`` grows with each
    attempt and is what a worker shows to be believed. ``last_event`` is the number of its newest event, from 1 on.
    ``done`` of ``total`` is its progress, in its own units; 0 of 0 where nobody knows. ``owner`` is what rotation keeps of the
    key that submitted it; empty: that key's own id.
    """

    id: str
    tenant: str
    key_id: str
    kind: JobKind
    target: str
    priority: Priority
    state: JobState
    surface: str
    request_id: str
    created_at: datetime
    due_at: datetime
    deadline_at: datetime
    max_attempts: int
    result_ttl: timedelta
    attempts: int = 0
    epoch: int = 0
    worker: str = ""
    leased_until: datetime | None = None
    started_at: datetime | None = None
    """Of the newest attempt."""
    ended_at: datetime | None = None
    result_expires_at: datetime | None = None
    cancels: bool = False
    """Whether it was asked to end while it ran."""
    error: JobError | None = None
    """Of the newest attempt that failed, or of the job."""
    done: int = 0
    total: int = 0
    last_event: int = 0
    traceparent: str = ""
    webhook: str = ""
    """The name of an endpoint that is told of its end; none where that is empty."""
    metadata: Mapping[str, str] = {}
    owner: str = ""
    batch: str = ""
    line: int = 0
    """Of its batch's file, from 1 on."""
    unlisted: bool = False
    """Whether somebody waits for its answer, as for any request's: it is in no list, no count and no word to webhooks."""

    @property
    def owned_by(self) -> str:
        """Whose it is: what rotation keeps of the key that submitted it."""
        return self.owner or self.key_id


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be accepted, with what it asks.

    ``idempotency``: another one of the same mark is not accepted beside it. ``fingerprint`` tells whether that one asks
    the same. ``lease``: it is its acceptor's own from the first moment on, until then, and in nobody's queue.
    """

    job: Job
    order: bytes
    idempotency: str = ""
    fingerprint: str = ""
    lease: datetime | None = None


class Accepted(msgspec.Struct, frozen=True):
    """What was accepted; or, where ``is_new`` is false, what had been before under the same mark, with its fingerprint."""

    job: Job
    is_new: bool
    fingerprint: str = ""


class Claimed(msgspec.Struct, frozen=True):
    """A job that a worker holds, and what it asks."""

    job: Job
    order: bytes


class JobEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended: ``result`` where it succeeded, ``error`` where it did not."""

    state: JobState
    result: bytes | None = None
    error: JobError | None = None


def new_job_id(now: datetime) -> str:
    """Return an id that nobody can guess; ids sort by the time when they were made."""
    moment = int(now.timestamp() * 1000)
    return f"{ID_PREFIX}{moment:0{_MOMENT_DIGITS}x}{secrets.token_hex(_RANDOM_BYTES)}"


def may_be_job(job_id: str) -> bool:
    """Return whether there may be a job of this id; others are not looked for."""
    return _ID.fullmatch(job_id) is not None

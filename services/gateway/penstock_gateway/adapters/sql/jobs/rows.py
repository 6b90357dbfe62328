"""Rows of jobs as the domain has them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, overload

import msgspec

from penstock_common.priority import Priority
from penstock_gateway.domain.jobs.events import JobEvent, NumberedEvent
from penstock_gateway.domain.jobs.job import Job, JobError, JobKind, JobState, NewJob

ORDER, RESULT = "order", "result"
"""The parts of a job's contents."""
_MOST_MESSAGE = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EVENTS = msgspec.msgpack.Decoder(JobEvent)
_ENCODER = msgspec.msgpack.Encoder()


@overload
def ms_of(moment: datetime) -> int: ...
@overload
def ms_of(moment: datetime | None) -> int | None: ...
def ms_of(moment: datetime | None) -> int | None:
    """Return a moment as the database has it."""
    return None if moment is None else (moment - _EPOCH) // _MILLISECOND


def moment_of(ms: int) -> datetime:
    """Return a moment of the database."""
    return _EPOCH + timedelta(milliseconds=ms)


def job_of(row: Any) -> Job:
    """Return the job of a row."""
    error = JobError(row.error_reason, row.error_message or "") if row.error_reason else None
    return Job(
        id=row.id,
        tenant=row.tenant,
        key_id=row.key_id,
        owner=row.owner,
        kind=JobKind(row.kind),
        target=row.target,
        priority=Priority(row.priority),
        state=JobState(row.state),
        surface=row.surface,
        request_id=row.request_id,
        created_at=moment_of(row.created_ms),
        due_at=moment_of(row.due_ms),
        deadline_at=moment_of(row.deadline_ms),
        max_attempts=row.max_attempts,
        result_ttl=timedelta(milliseconds=row.result_ttl_ms),
        attempts=row.attempts,
        epoch=row.epoch,
        worker=row.worker,
        leased_until=_maybe(row.leased_until_ms),
        started_at=_maybe(row.started_ms),
        ended_at=_maybe(row.ended_ms),
        result_expires_at=_maybe(row.result_expires_ms),
        cancels=row.cancels,
        error=error,
        done=row.done,
        total=row.total,
        last_event=row.last_event,
        traceparent=row.traceparent,
        webhook=row.webhook,
        metadata=row.metadata,
        batch=row.batch,
        line=row.line,
        unlisted=row.unlisted,
    )


def values_of(new: NewJob) -> dict[str, Any]:
    """Return the columns of a new job."""
    job = new.job
    return {
        "id": job.id,
        "tenant": job.tenant,
        "key_id": job.key_id,
        "owner": job.owned_by,
        "kind": job.kind.value,
        "target": job.target,
        "priority": int(job.priority),
        "state": job.state.value,
        "surface": job.surface,
        "request_id": job.request_id,
        "created_ms": ms_of(job.created_at),
        "due_ms": ms_of(job.due_at),
        "deadline_ms": ms_of(job.deadline_at),
        "max_attempts": job.max_attempts,
        "result_ttl_ms": job.result_ttl // _MILLISECOND,
        "attempts": job.attempts,
        "epoch": job.epoch,
        "worker": job.worker,
        "leased_until_ms": ms_of(new.lease),
        "started_ms": ms_of(job.started_at),
        "cancels": False,
        "done": job.done,
        "total": job.total,
        "last_event": job.last_event,
        "traceparent": job.traceparent,
        "webhook": job.webhook,
        "metadata": dict(job.metadata),
        "batch": job.batch,
        "line": job.line,
        "unlisted": job.unlisted,
        "idempotency": new.idempotency or None,
        "fingerprint": new.fingerprint,
    }


def error_values(error: JobError | None) -> dict[str, Any]:
    """Return the columns of an error."""
    if error is None:
        return {"error_reason": None, "error_message": None}
    return {"error_reason": error.reason, "error_message": _kept(error.message)}


def _kept(text: str) -> str:
    """Return what is kept of words that upstreams may have said: what every database takes."""
    return text[:_MOST_MESSAGE].replace("\x00", "").encode(errors="replace").decode()


def place_of(job_id: str, part: str | int) -> str:
    """Return what a part of a job is bound to: its name, or an event's number."""
    return f"{job_id}/{part}"


def event_bytes(event: JobEvent) -> bytes:
    """Return an event as it is sealed."""
    return _ENCODER.encode(event)


def numbered(rows: Sequence[tuple[int, int, bytes]]) -> list[NumberedEvent]:
    """Return events of their numbers, moments and opened contents."""
    return [NumberedEvent(number, moment_of(at), _EVENTS.decode(content)) for number, at, content in rows]


def _maybe(ms: int | None) -> datetime | None:
    return None if ms is None else moment_of(ms)

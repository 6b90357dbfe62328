"""Jobs as the contract's messages, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.gateway.v1 import job_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert import event_to_proto
from penstock_common.llm.convert.priority import priority_from_proto, priority_to_proto
from penstock_common.rpc.durations import duration_from
from penstock_gateway.domain.jobs.desk import USUAL_REDRIVEN, Redrive, Seen
from penstock_gateway.domain.jobs.events import AttemptStarted, Ended, Generated, NumberedEvent, PutBack, Redriven
from penstock_gateway.domain.jobs.job import Job, JobError, JobKind, JobState
from penstock_gateway.domain.jobs.pausing import Pause
from penstock_gateway.domain.jobs.ports import Depth, JobFilter
from penstock_gateway.domain.jobs.terms import MAX_DEADLINE, MAX_RESULT_TTL, JobTerms
from penstock_gateway.domain.webhooks.registered import shown_name

_STATES = {
    JobState.QUEUED: pb.JOB_STATE_QUEUED,
    JobState.RUNNING: pb.JOB_STATE_RUNNING,
    JobState.SUCCEEDED: pb.JOB_STATE_SUCCEEDED,
    JobState.FAILED: pb.JOB_STATE_FAILED,
    JobState.DEAD: pb.JOB_STATE_DEAD,
    JobState.CANCELLED: pb.JOB_STATE_CANCELLED,
    JobState.EXPIRED: pb.JOB_STATE_EXPIRED,
}
_STATE_OF: dict[int, JobState] = {number: state for state, number in _STATES.items()}
_KINDS = {
    JobKind.CHAT: pb.JOB_KIND_CHAT,
    JobKind.EMBEDDING: pb.JOB_KIND_EMBEDDING,
    JobKind.INGEST: pb.JOB_KIND_INGEST,
    JobKind.BATCH: pb.JOB_KIND_BATCH,
}
_KIND_OF: dict[int, JobKind] = {number: kind for kind, number in _KINDS.items()}
_MAX_NAME = 256


def job_message(job: Job) -> pb.Job:
    """Return a job."""
    message = pb.Job(
        id=job.id,
        kind=_KINDS[job.kind],
        state=_STATES[job.state],
        target=job.target,
        priority=priority_to_proto(job.priority),
        tenant=job.tenant,
        key_id=job.key_id,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        cancels=job.cancels and not job.state.is_end,
        done=job.done,
        total=job.total,
        last_event=job.last_event,
        webhook=shown_name(job.webhook),
        metadata=job.metadata,
        batch=job.batch,
        line=job.line,
        request_id=job.request_id,
    )
    for field in ("created_at", "due_at", "deadline_at", "started_at", "ended_at", "result_expires_at"):
        moment: datetime | None = getattr(job, field)
        if moment is not None:
            getattr(message, field).CopyFrom(_stamp(moment))
    if job.error is not None:
        message.error.CopyFrom(_error(job.error))
    return message


def terms_from(message: pb.JobOptions) -> JobTerms:
    """Return what a submitter says.

    Raises:
        InvalidRequest: if a time is none.
    """
    priority = priority_from_proto(message.priority)
    if message.priority and priority is None:
        text = f"options.priority: {message.priority} is none that this version knows."
        raise InvalidRequest(text, field="options.priority")
    return JobTerms(
        priority=priority,
        due_at=_moment(message, "due_at"),
        deadline=duration_from(message, "deadline", MAX_DEADLINE, "options.deadline"),
        max_attempts=message.max_attempts,
        result_ttl=duration_from(message, "result_ttl", MAX_RESULT_TTL, "options.result_ttl"),
        webhook=message.webhook,
        metadata=dict(message.metadata),
    )


def filter_from(request: pb.ListJobsRequest) -> JobFilter:
    """Return which jobs are asked for; those of batches only where a batch is named.

    Raises:
        InvalidRequest: for a state or kind that this version does not know, or a name that none can be.
    """
    return JobFilter(
        tenant=request.tenant,
        states=frozenset(_known(_STATE_OF, number, "states") for number in request.states),
        kinds=frozenset(_known(_KIND_OF, number, "kinds") for number in request.kinds),
        key_id=_name(request.key_id, "key_id"),
        batch=_name(request.batch, "batch"),
    )


def redrive_from(request: pb.RedriveJobsRequest) -> Redrive:
    """Return which jobs are to begin anew; raises as ``filter_from``."""
    states = frozenset(_known(_STATE_OF, number, "states") for number in request.states)
    return Redrive(
        tenant=request.tenant,
        job_id=_name(request.id, "id"),
        target=_name(request.target, "target"),
        states=states or frozenset({JobState.DEAD}),
        limit=request.limit or USUAL_REDRIVEN,
        is_dry_run=request.dry_run,
    )


def seen_message(seen: Seen) -> pb.WatchJobResponse:
    """Return what a watcher is told."""
    message = pb.WatchJobResponse() if seen.event is None else _event_message(seen.event)
    if seen.job is not None:
        message.job.CopyFrom(job_message(seen.job))
    return message


def depth_messages(depths: list[Depth], now: datetime) -> list[pb.JobDepth]:
    """Return how many jobs of each priority wait and run."""
    messages: dict[int, pb.JobDepth] = {}
    for depth in sorted(depths):
        message = messages.setdefault(depth.priority, pb.JobDepth(priority=priority_to_proto(depth.priority)))
        if depth.state is JobState.RUNNING:
            message.running = depth.jobs
            continue
        message.queued = depth.jobs
        if depth.due_since is not None and depth.due_since < now:
            message.oldest_wait.FromTimedelta(now - depth.due_since)
    return list(messages.values())


def _event_message(numbered: NumberedEvent) -> pb.WatchJobResponse:
    message, event = pb.WatchJobResponse(number=numbered.number, at=_stamp(numbered.at)), numbered.event
    match event:
        case AttemptStarted():
            message.started.attempt, message.started.goes_on = event.attempt, event.goes_on
        case Generated():
            message.generated.events.extend(map(event_to_proto, event.events))
        case PutBack():
            message.put_back.until.CopyFrom(_stamp(event.until))
            message.put_back.error.CopyFrom(_error(event.error))
        case Redriven():
            message.redriven = True
        case Ended():
            message.ended = _STATES[event.state]
        case _:
            # Progress is told with the job as it stands.
            pass
    return message


def _error(error: JobError) -> pb.JobError:
    return pb.JobError(reason=error.reason, message=error.message)


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _moment(message: pb.JobOptions, field: Any) -> datetime | None:
    if not message.HasField(field):
        return None
    try:
        return getattr(message, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"options.{field} is no time.", field=f"options.{field}") from None


def _known(known: dict[int, Any], number: int, field: str) -> Any:
    if number not in known:
        raise InvalidRequest(f"{field}: {number} is none that this version knows.", field=field)
    return known[number]


def _name(text: str, field: str) -> str:
    if len(text) > _MAX_NAME or not text.isprintable():
        raise InvalidRequest(f"{field} must have at most {_MAX_NAME} printable characters.", field=field)
    return text


def pause_message(pause: Pause) -> pb.JobPause:
    """Return a pause."""
    message = pb.JobPause(tenant=pause.tenant, target=pause.target, reason=pause.reason)
    message.since.FromDatetime(pause.since)
    return message

"""JobService as the command asks for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from penstock.gateway.v1 import job_service_pb2 as pb
from penstock.llm.v1 import generation_pb2 as gen
from penstock_suite.domain.jobs import DepthRow, JobEventRow, JobRow, JobsWanted, PauseRow, QueueRow, RedriveWanted

_PAGE_SIZE = 500
_STATE, _KIND, _PRIORITY = "JOB_STATE_", "JOB_KIND_", "PRIORITY_"


class JobClient:
    """Implements ``Jobs`` by what ``_ask`` and ``_follow`` do."""

    async def _ask(self, method: str, request: Any) -> Any:
        raise NotImplementedError

    def _follow(self, method: str, request: Any) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        raise NotImplementedError

    async def jobs(self, wanted: JobsWanted) -> list[JobRow]:
        """Return jobs of as many pages as are needed."""
        request = pb.ListJobsRequest(
            tenant=wanted.tenant,
            states=[_STATE + state.upper() for state in wanted.states],
            kinds=[_KIND + kind.upper() for kind in wanted.kinds],
            key_id=wanted.key_id,
            batch=wanted.batch,
        )
        found: list[JobRow] = []
        while len(found) < wanted.most:
            request.page_size = min(_PAGE_SIZE, wanted.most - len(found))
            page = await self._ask("ListJobs", request)
            found += map(_row, page.jobs)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return found

    async def job(self, tenant: str, job_id: str) -> JobRow:
        """Return a job."""
        return _row((await self._ask("GetJob", pb.GetJobRequest(tenant=tenant, id=job_id))).job)

    async def job_result(self, tenant: str, job_id: str) -> dict[str, Any]:
        """Return what came of a job."""
        told = await self._ask("GetJobResult", pb.GetJobResultRequest(tenant=tenant, id=job_id))
        return json_format.MessageToDict(told, preserving_proto_field_name=True)

    @asynccontextmanager
    async def watched_job(self, tenant: str, job_id: str, after: int) -> AsyncGenerator[AsyncIterator[JobEventRow]]:
        """Yield what happens to a job."""
        request = pb.WatchJobRequest(tenant=tenant, id=job_id, after_event=after)
        async with self._follow("WatchJob", request) as responses:
            yield (_event(told) async for told in responses)

    async def cancel_job(self, tenant: str, job_id: str) -> JobRow:
        """Return a job that is to end."""
        return _row((await self._ask("CancelJob", pb.CancelJobRequest(tenant=tenant, id=job_id))).job)

    async def redrive_jobs(self, wanted: RedriveWanted) -> tuple[int, bool]:
        """Return how many begin anew, and whether there are more."""
        request = pb.RedriveJobsRequest(
            id=wanted.job_id,
            tenant=wanted.tenant,
            target=wanted.target,
            states=[_STATE + state.upper() for state in wanted.states],
            limit=wanted.limit,
            dry_run=wanted.dry_run,
        )
        told = await self._ask("RedriveJobs", request)
        return told.redriven, told.more

    async def job_depths(self, tenant: str) -> QueueRow:
        """Return how many wait and run."""
        told = await self._ask("GetJobDepths", pb.GetJobDepthsRequest(tenant=tenant))
        depths = tuple(
            DepthRow(
                priority=_word(gen.Priority.Name(depth.priority), _PRIORITY),
                queued=depth.queued,
                running=depth.running,
                oldest_wait_seconds=depth.oldest_wait.ToMicroseconds() / 1e6,
            )
            for depth in told.depths
        )
        return QueueRow(depths=depths, workers=told.workers)

    async def pause_jobs(self, tenant: str, target: str, reason: str) -> PauseRow:
        """Return the pause."""
        request = pb.PauseJobsRequest(tenant=tenant, target=target, reason=reason)
        return _pause((await self._ask("PauseJobs", request)).pause)

    async def resume_jobs(self, tenant: str, target: str) -> None:
        """End a pause."""
        await self._ask("ResumeJobs", pb.ResumeJobsRequest(tenant=tenant, target=target))

    async def job_pauses(self, tenant: str) -> list[PauseRow]:
        """Return what is paused."""
        told = await self._ask("ListJobPauses", pb.ListJobPausesRequest(tenant=tenant))
        return [_pause(pause) for pause in told.pauses]


def _pause(pause: pb.JobPause) -> PauseRow:
    since = pause.since.ToDatetime(tzinfo=UTC)
    return PauseRow(tenant=pause.tenant, target=pause.target, reason=pause.reason, since=since)


def _row(job: pb.Job) -> JobRow:
    return JobRow(
        id=job.id,
        tenant=job.tenant,
        key_id=job.key_id,
        kind=_word(pb.JobKind.Name(job.kind), _KIND),
        target=job.target,
        state=_word(pb.JobState.Name(job.state), _STATE),
        priority=_word(gen.Priority.Name(job.priority), _PRIORITY),
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        done=job.done,
        total=job.total,
        last_event=job.last_event,
        cancels=job.cancels,
        error=f"{job.error.reason}: {job.error.message}" if job.HasField("error") else "",
        created_at=_moment(job, "created_at"),
        due_at=_moment(job, "due_at"),
        deadline_at=_moment(job, "deadline_at"),
        started_at=_moment(job, "started_at"),
        ended_at=_moment(job, "ended_at"),
        result_expires_at=_moment(job, "result_expires_at"),
        webhook=job.webhook,
        batch=job.batch,
        line=job.line,
        request_id=job.request_id,
        metadata=dict(job.metadata),
    )


def _event(told: pb.WatchJobResponse) -> JobEventRow:
    text = "".join(event.text_delta.text for event in told.generated.events)
    job = _row(told.job) if told.HasField("job") else None
    return JobEventRow(number=told.number, kind=told.WhichOneof("event") or "stands", text=text, job=job)


def _moment(job: pb.Job, field: Any) -> datetime | None:
    return getattr(job, field).ToDatetime(tzinfo=UTC) if job.HasField(field) else None


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()

"""JobService but for what submits jobs: convert, look or change, convert."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from penstock.gateway.v1 import job_service_pb2 as pb
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.audit import utc_now
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.jobs.desk import JobDesk, Viewer
from penstock_gateway.domain.jobs.pausing import PauseDesk
from penstock_gateway.surfaces.grpc.arrival import admitted
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.job_messages import (
    depth_messages,
    filter_from,
    job_message,
    pause_message,
    redrive_from,
    seen_message,
)
from penstock_gateway.surfaces.grpc.job_results import result_message

ViewerOf = Callable[[ServerCall], Viewer]
"""Returns who makes a call."""


class JobDeskServicer:
    """Serves what becomes of jobs; the domain keeps the walls between tenants and keys."""

    def __init__(self, desk: JobDesk, pauses: PauseDesk, viewer_of: ViewerOf) -> None:
        self._desk = desk
        self._pauses = pauses
        self._viewer_of = viewer_of

    async def GetJob(self, request: pb.GetJobRequest, call: ServerCall) -> pb.GetJobResponse:
        """Return a job."""
        return pb.GetJobResponse(
            job=job_message(await self._desk.get(self._viewer_of(call), request.tenant, request.id))
        )

    async def ListJobs(self, request: pb.ListJobsRequest, call: ServerCall) -> pb.ListJobsResponse:
        """Return a page of jobs."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._desk.list(self._viewer_of(call), filter_from(request), page)
        return pb.ListJobsResponse(jobs=map(job_message, listed.items), next_page_token=listed.next_token)

    async def WatchJob(self, request: pb.WatchJobRequest, call: ServerCall) -> AsyncGenerator[pb.WatchJobResponse]:
        """Yield what happens to a job."""
        watched = self._desk.watch(self._viewer_of(call), request.tenant, request.id, request.after_event)
        async with aclosing(watched) as told:
            async for seen in told:
                yield seen_message(seen)

    async def GetJobResult(self, request: pb.GetJobResultRequest, call: ServerCall) -> pb.GetJobResultResponse:
        """Return what came of a job."""
        job, result = await self._desk.result(self._viewer_of(call), request.tenant, request.id)
        return result_message(job, result)

    async def CancelJob(self, request: pb.CancelJobRequest, call: ServerCall) -> pb.CancelJobResponse:
        """Return a job that is to end."""
        cancelled = await self._desk.cancel(self._viewer_of(call), request.tenant, request.id)
        return pb.CancelJobResponse(job=job_message(cancelled))

    async def DeleteJob(self, request: pb.DeleteJobRequest, call: ServerCall) -> pb.DeleteJobResponse:
        """Forget a job."""
        await self._desk.delete(self._viewer_of(call), request.tenant, request.id)
        return pb.DeleteJobResponse()

    async def RedriveJobs(self, request: pb.RedriveJobsRequest, call: ServerCall) -> pb.RedriveJobsResponse:
        """Return how many jobs begin anew."""
        asked = redrive_from(request)
        redriven = await self._desk.redrive(self._viewer_of(call).actor, asked)
        return pb.RedriveJobsResponse(redriven=redriven, more=redriven == asked.limit and not asked.job_id)

    async def GetJobDepths(self, request: pb.GetJobDepthsRequest, call: ServerCall) -> pb.GetJobDepthsResponse:
        """Return how many jobs wait and run."""
        depths = await self._desk.depths(self._viewer_of(call), request.tenant)
        workers = await self._desk.workers()
        return pb.GetJobDepthsResponse(depths=depth_messages([*depths], utc_now()), workers=workers)

    async def PauseJobs(self, request: pb.PauseJobsRequest, call: ServerCall) -> pb.PauseJobsResponse:
        """Return the pause."""
        actor = self._viewer_of(call).actor
        paused = await self._pauses.pause(actor, request.tenant, request.target, request.reason)
        return pb.PauseJobsResponse(pause=pause_message(paused))

    async def ResumeJobs(self, request: pb.ResumeJobsRequest, call: ServerCall) -> pb.ResumeJobsResponse:
        """End a pause."""
        await self._pauses.resume(self._viewer_of(call).actor, request.tenant, request.target)
        return pb.ResumeJobsResponse()

    async def ListJobPauses(self, request: pb.ListJobPausesRequest, call: ServerCall) -> pb.ListJobPausesResponse:
        """Return what is paused."""
        pauses = await self._pauses.all(self._viewer_of(call).actor, request.tenant)
        return pb.ListJobPausesResponse(pauses=map(pause_message, pauses))


def viewers_of(actor_of: ActorOf) -> ViewerOf:
    """Return what finds who makes a call that the guard has let in."""
    return lambda call: Viewer.of(actor_of(call), admitted(call).caller)

"""JobService but for what submits jobs: convert, look or change, convert."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from penstock.gateway.v1 import job_service_pb2 as pb
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.audit import utc_now
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.jobs.desk import JobDesk, Viewer
from penstock_gateway.surfaces.grpc.arrival import admitted
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.job_messages import (
    depth_messages,
    filter_from,
    job_message,
    redrive_from,
    seen_message,
)
from penstock_gateway.surfaces.grpc.job_results import result_message

ViewerOf = Callable[[ServerCall], Viewer]
"""Returns who makes a call."""


class JobDeskServicer:
    """Serves what becomes of jobs; the domain keeps the walls between tenants and keys."""

    def __init__(self, desk: JobDesk, viewer_of: ViewerOf) -> None:
        self._desk = desk
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
        return pb.GetJobDepthsResponse(depths=depth_messages([*depths], utc_now()))


def viewers_of(actor_of: ActorOf) -> ViewerOf:
    """Return what finds who makes a call that the guard has let in."""
    return lambda call: Viewer.of(actor_of(call), admitted(call).caller)

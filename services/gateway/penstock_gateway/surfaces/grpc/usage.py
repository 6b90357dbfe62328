"""UsageService: convert, look, convert."""

from __future__ import annotations

from penstock.gateway.v1 import usage_service_pb2 as pb
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.domain.usage.query import Query, groups_of
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.usage_messages import filter_from, line_message, request_message


class UsageServicer:
    """Serves usage; calls come authorised or not at all, and the domain keeps the walls between tenants."""

    def __init__(self, reading: UsageReading, actor_of: ActorOf) -> None:
        self._reading = reading
        self._usage_actor = actor_of

    async def QueryUsage(self, request: pb.QueryUsageRequest, call: ServerCall) -> pb.QueryUsageResponse:
        """Return a page of sums."""
        by, step = groups_of(request.by)
        query = Query(filter=filter_from(request.filter), by=by, step=step, zone=request.time_zone)
        page = Page.of(request.page_size, request.page_token)
        report = await self._reading.query(self._usage_actor(call), query, page)
        lines = [line_message(line, by, report.starts, report.ends) for line in report.lines]
        return pb.QueryUsageResponse(lines=lines, next_page_token=report.next_token)

    async def ListRequests(self, request: pb.ListRequestsRequest, call: ServerCall) -> pb.ListRequestsResponse:
        """Return a page of entries."""
        page = Page.of(request.page_size, request.page_token)
        found = await self._reading.requests(self._usage_actor(call), filter_from(request.filter), page)
        return pb.ListRequestsResponse(requests=map(request_message, found.rows), next_page_token=found.next_token)

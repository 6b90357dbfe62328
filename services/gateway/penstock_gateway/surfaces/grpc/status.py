"""StatusService: how this process is."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime

from penstock.gateway.v1 import status_service_pb2 as pb
from penstock_common.contract.inference import ModelState
from penstock_common.rpc.method import Handler, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec, unread, unwritten
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway import __version__
from penstock_gateway.domain.status.report import GatewayStatus, StatusReporter
from penstock_gateway.domain.status.traffic import WINDOW, TrafficSummary
from penstock_gateway.surfaces.grpc.upstream_messages import place_messages

_STATES = {
    ModelState.UNTOLD: pb.UpstreamModelStatus.STATE_UNSPECIFIED,
    ModelState.READY: pb.UpstreamModelStatus.STATE_READY,
    ModelState.LOADING: pb.UpstreamModelStatus.STATE_LOADING,
    ModelState.UNLOADING: pb.UpstreamModelStatus.STATE_UNLOADING,
    ModelState.UNAVAILABLE: pb.UpstreamModelStatus.STATE_UNAVAILABLE,
}


class StatusServicer:
    """Serves the status."""

    def __init__(self, reporter: StatusReporter) -> None:
        self._reporter = reporter
        self._replica = f"{socket.gethostname()}:{os.getpid()}"
        self._started_at = datetime.now(UTC)

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        codec = ProtobufCodec(pb.GetStatusResponse, self._message, unread)
        request = ProtobufCodec(pb.GetStatusRequest, unwritten, lambda _: None)
        method = UnaryMethod[None, GatewayStatus]("/penstock.gateway.v1.StatusService/GetStatus", request, codec)
        return (method.served_by(self.get_status),)

    async def get_status(self, _: None, call: ServerCall) -> GatewayStatus:
        """Return the status of this process."""
        return await self._reporter.report()

    def _message(self, status: GatewayStatus) -> pb.GetStatusResponse:
        response = pb.GetStatusResponse(
            is_healthy=not status.problems,
            problems=status.problems,
            replica=self._replica,
            version=__version__,
            requests_in_flight=status.requests_in_flight,
            traffic=_traffic(status.traffic),
            upstreams=_upstreams(status),
            configuration_revision=status.revision.name,
            unwell_places=place_messages(status.unwell),
        )
        response.configuration_since.FromDatetime(status.revision.since)
        response.started_at.FromDatetime(self._started_at)
        return response


def _traffic(traffic: TrafficSummary) -> pb.TrafficSummary:
    message = pb.TrafficSummary(
        requests=traffic.requests,
        failures=traffic.failures,
        error_ratio=traffic.failures / traffic.requests if traffic.requests else 0.0,
        duration_p50_ms=traffic.duration_p50_ms,
        duration_p95_ms=traffic.duration_p95_ms,
        time_to_first_token_p50_ms=traffic.time_to_first_token_p50_ms,
        time_to_first_token_p95_ms=traffic.time_to_first_token_p95_ms,
        cache_hit_ratio=traffic.cache_hit_ratio,
        cost_per_request_nano_usd=traffic.cost_per_request_nano_usd,
    )
    message.window.FromTimedelta(WINDOW)
    return message


def _upstreams(status: GatewayStatus) -> Sequence[pb.UpstreamStatus]:
    found: dict[str, pb.UpstreamStatus] = {}
    for name, traffic in status.traffic.upstreams.items():
        found[name] = pb.UpstreamStatus(name=name, attempts=traffic.attempts, failed_attempts=traffic.failed_attempts)
    for model in status.models:
        name = model.candidate.upstream
        upstream = found.setdefault(name, pb.UpstreamStatus(name=name))
        upstream.models.add(name=model.candidate.model, state=_STATES[model.state], reason=model.state_reason)
    return [found[name] for name in sorted(found)]

"""Asking a gateway for its status, with an operator's key."""

from __future__ import annotations

from typing import Any

import grpc

from penstock.gateway.v1 import status_service_pb2 as pb
from penstock.gateway.v1 import status_service_pb2_grpc
from penstock_common.rpc.channel import open_channel
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.gateway_report import GatewayReport, UpstreamModelReport, UpstreamReport
from penstock_suite.domain.requests import StatusTarget

_TIMEOUT_SECONDS = 5.0
_NOBODY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_STATE_PREFIX = "STATE_"
_UNTOLD = "unspecified"


async def gateway_report(target: StatusTarget) -> GatewayReport:
    """Return what the gateway says.

    Raises:
        SuiteFailure: if nobody answers there, or the key is refused; the sentence is the server's.
    """
    credentials = grpc.ssl_channel_credentials(target.ca_file.read_bytes()) if target.ca_file is not None else None
    async with open_channel(target.grpc_address, credentials) as channel:
        stub: Any = status_service_pb2_grpc.StatusServiceStub(channel)
        head = (("authorization", f"Bearer {target.key}"),)
        try:
            answer = await stub.GetStatus(pb.GetStatusRequest(), metadata=head, timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NOBODY:
                raise SuiteFailure(f"no gateway answers at {target.grpc_address}") from None
            raise SuiteFailure(error.details() or error.code().name) from None
    return _report(answer)


def _report(answer: pb.GetStatusResponse) -> GatewayReport:
    traffic = answer.traffic
    return GatewayReport(
        is_healthy=answer.is_healthy,
        problems=tuple(answer.problems),
        replica=answer.replica,
        version=answer.version,
        requests_in_flight=answer.requests_in_flight,
        window_seconds=traffic.window.ToTimedelta().total_seconds(),
        requests=traffic.requests,
        failures=traffic.failures,
        error_ratio=traffic.error_ratio,
        duration_p50_ms=_known(traffic, "duration_p50_ms"),
        duration_p95_ms=_known(traffic, "duration_p95_ms"),
        time_to_first_token_p50_ms=_known(traffic, "time_to_first_token_p50_ms"),
        time_to_first_token_p95_ms=_known(traffic, "time_to_first_token_p95_ms"),
        cache_hit_ratio=_known(traffic, "cache_hit_ratio"),
        cost_per_request_nano_usd=_known(traffic, "cost_per_request_nano_usd"),
        upstreams=tuple(_upstream(upstream) for upstream in answer.upstreams),
    )


def _upstream(upstream: pb.UpstreamStatus) -> UpstreamReport:
    models = tuple(UpstreamModelReport(model.name, _state(model.state), model.reason) for model in upstream.models)
    return UpstreamReport(upstream.name, upstream.attempts, upstream.failed_attempts, models)


def _state(number: Any) -> str:
    name = pb.UpstreamModelStatus.State.Name(number).removeprefix(_STATE_PREFIX).lower()
    return "" if name == _UNTOLD else name


def _known(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None

"""Asking a gateway for its status, with an operator's key."""

from __future__ import annotations

from typing import Any

import grpc

from penstock.gateway.v1 import status_service_pb2 as pb
from penstock.gateway.v1 import status_service_pb2_grpc
from penstock_common.rpc.channel import open_channel
from penstock_suite.domain.gateway_report import GatewayReport, UpstreamModelReport, UpstreamReport

_TIMEOUT_SECONDS = 5.0
_STATE_PREFIX = "STATE_"
_UNTOLD = "unspecified"


async def gateway_report(address: str, key: str) -> GatewayReport | None:
    """Return what the gateway says; None where nobody answers, or the key opens nothing."""
    async with open_channel(address) as channel:
        stub: Any = status_service_pb2_grpc.StatusServiceStub(channel)
        try:
            answer = await stub.GetStatus(
                pb.GetStatusRequest(), metadata=(("authorization", f"Bearer {key}"),), timeout=_TIMEOUT_SECONDS
            )
        except grpc.aio.AioRpcError:
            return None
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

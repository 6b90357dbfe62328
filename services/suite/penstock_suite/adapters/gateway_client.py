"""Asking a process over gRPC how it is: its health, and a gateway's status with an operator's key."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.gateway.v1 import status_service_pb2 as pb
from penstock.gateway.v1 import status_service_pb2_grpc
from penstock_common.rpc.channel import open_channel
from penstock_suite.adapters.upstream_rows import upstream_rows
from penstock_suite.domain.answers import GatewayReport, UpstreamModelReport, UpstreamReport
from penstock_suite.domain.failure import Refused, SuiteFailure, Unreachable
from penstock_suite.domain.requests import GatewayTarget

SERVING = "SERVING"
UNREACHABLE = "UNREACHABLE"

_HEALTH_TIMEOUT_SECONDS = 2.0
_STATUS_TIMEOUT_SECONDS = 5.0
_NOBODY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
"""What a server answers to who may not ask."""
_STATE_PREFIX = "STATE_"
_UNTOLD = "unspecified"


async def health_of(address: str, credentials: grpc.ChannelCredentials | None = None, *, server_name: str = "") -> str:
    """Return the status of ``grpc.health.v1``, such as SERVING; UNREACHABLE where nobody answers.

    ``server_name`` is the name in the server's certificate, where it is not the address's.
    """
    async with open_channel(address, credentials, server_name=server_name) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError:
            return UNREACHABLE
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def key_head(key: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that shows a key."""
    return (("authorization", f"Bearer {key}"),)


def credentials_of(target: GatewayTarget) -> grpc.ChannelCredentials | None:
    """Return what proves the gateway; None for plaintext."""
    return grpc.ssl_channel_credentials(target.ca_file.read_bytes()) if target.ca_file is not None else None


async def gateway_report(target: GatewayTarget) -> GatewayReport:
    """Return what the gateway says.

    Raises:
        SuiteFailure: if nobody answers there, or the key is refused; the sentence is the server's.
    """
    async with open_channel(target.grpc_address, credentials_of(target)) as channel:
        stub: Any = status_service_pb2_grpc.StatusServiceStub(channel)
        try:
            answer = await stub.GetStatus(
                pb.GetStatusRequest(), metadata=key_head(target.key), timeout=_STATUS_TIMEOUT_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise failed(error, target) from None
    return _report(answer)


def failed(error: grpc.aio.AioRpcError, target: GatewayTarget) -> SuiteFailure:
    """Return what to say of a call that the gateway did not answer; the sentence is the server's, if it said one."""
    if error.code() in _NOBODY:
        return Unreachable(f"no gateway answers at {target.grpc_address}")
    if error.code() in REFUSALS:
        return Refused(error.details() or error.code().name)
    return SuiteFailure(error.details() or error.code().name)


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
        unwell=upstream_rows(answer.unwell_places),
        revision=answer.configuration_revision,
        revision_since=answer.configuration_since.ToDatetime(UTC).isoformat(timespec="seconds"),
    )


def _upstream(upstream: pb.UpstreamStatus) -> UpstreamReport:
    models = tuple(UpstreamModelReport(model.name, _state(model.state), model.reason) for model in upstream.models)
    return UpstreamReport(upstream.name, upstream.attempts, upstream.failed_attempts, models)


def _state(number: Any) -> str:
    name = pb.UpstreamModelStatus.State.Name(number).removeprefix(_STATE_PREFIX).lower()
    return "" if name == _UNTOLD else name


def _known(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None

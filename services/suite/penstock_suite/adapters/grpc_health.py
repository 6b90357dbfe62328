"""Asking a gRPC port over grpc.health.v1 whether it serves."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock_common.rpc.channel import open_channel

_TIMEOUT_SECONDS = 2.0
UNREACHABLE = "does not answer"


async def health_of(address: str) -> str:
    """Return SERVING, NOT_SERVING or that nobody answers."""
    async with open_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError:
            return UNREACHABLE
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

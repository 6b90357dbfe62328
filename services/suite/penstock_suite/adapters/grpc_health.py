"""Asking a gRPC port over grpc.health.v1 whether it serves."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock_common.rpc.channel import open_channel

SERVING = "SERVING"
UNREACHABLE = "UNREACHABLE"

_TIMEOUT_SECONDS = 2.0


async def health_of(address: str, credentials: grpc.ChannelCredentials | None = None, *, server_name: str = "") -> str:
    """Return the status of ``grpc.health.v1``, such as SERVING; UNREACHABLE where nobody answers.

    ``server_name`` is the name in the server's certificate, where it is not the address's.
    """
    async with open_channel(address, credentials, server_name=server_name) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError:
            return UNREACHABLE
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

"""A caller of AdminService, and what it is refused."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub


class Administrator:
    """A caller of AdminService with a key; ``ask.CreateKey(tenant="x")`` returns the response or raises."""

    def __init__(self, channel, key):
        self._stub = AdminServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        request_type = getattr(pb, f"{name}Request")

        async def call(**fields):
            return await getattr(self._stub, name)(request_type(**fields), metadata=self._metadata, timeout=30)

        return call


async def refused(awaitable):
    """Return a failed call's status, its reason and its error."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await awaitable
    error, info = failed.value, error_details_pb2.ErrorInfo()
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    for packed in status_pb2.Status.FromString(raw).details:
        if packed.Unpack(info):
            break
    return error.code(), info.reason, error

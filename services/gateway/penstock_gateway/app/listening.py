"""What the public gRPC port takes, as the settings say."""

from __future__ import annotations

from datetime import timedelta

from penstock_common.rpc.message_bounds import MessageBounds
from penstock_common.rpc.reading import ReadingLimits
from penstock_common.rpc.server import GrpcLimits
from penstock_common.rpc.unread import UnreadLimits
from penstock_gateway.settings import GatewaySettings

# A stream that has begun on a connection of full age outlives its own deadline by less.
_CONNECTION_GRACE_MARGIN = timedelta(seconds=30)


def grpc_limits(own: GatewaySettings) -> GrpcLimits:
    """Return what callers can make the port hold."""
    return GrpcLimits(
        max_request_bytes=own.max_body_bytes,
        reading=ReadingLimits(
            at_once=own.grpc_reads_at_once,
            at_once_per_caller=own.grpc_reads_per_key,
            timeout=own.grpc_message_timeout,
            bounds=MessageBounds(max_elements=own.grpc_max_elements),
        ),
        unread=UnreadLimits(own.grpc_unread_bytes, own.grpc_unread_bytes_per_key),
        write_timeout=own.write_timeout,
        max_streams=own.grpc_streams_per_connection,
        max_connections=own.grpc_connections,
        max_connection_idle=own.grpc_connection_idle,
        max_connection_age=own.grpc_connection_age,
        max_connection_age_grace=own.stream_timeout + _CONNECTION_GRACE_MARGIN,
    )

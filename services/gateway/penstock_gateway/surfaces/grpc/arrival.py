"""A gRPC call's head."""

from __future__ import annotations

from typing import Any

from penstock_gateway.surfaces.arrival import Arrival, Reception


def arrival_of(reception: Reception, context: Any) -> Arrival:
    """Return the head of the call; binary metadata is not looked at."""
    metadata = context.invocation_metadata() or ()
    return reception.receive("grpc", {key: value for key, value in metadata if isinstance(value, str)})

"""How upstreams are, and what is done with them, on the wire of ``penstock.inference.v1``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.inference.v1 import inference_service_pb2 as pb
from penstock_common.contract.inference import (
    MAX_EJECTION,
    PlaceCondition,
    UpstreamAction,
    UpstreamOrder,
    UpstreamPlace,
)
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.durations import duration_from

_STATE_TO: dict[PlaceCondition, Any] = {
    PlaceCondition.UNTOLD: pb.PLACE_STATE_UNSPECIFIED,
    PlaceCondition.OK: pb.PLACE_STATE_OK,
    PlaceCondition.SLOW: pb.PLACE_STATE_SLOW,
    PlaceCondition.COOLING: pb.PLACE_STATE_COOLING,
    PlaceCondition.EJECTED: pb.PLACE_STATE_EJECTED,
    PlaceCondition.PROBING: pb.PLACE_STATE_PROBING,
    PlaceCondition.BY_HAND: pb.PLACE_STATE_BY_HAND,
}
_STATE_FROM: dict[int, PlaceCondition] = {number: state for state, number in _STATE_TO.items()}
_ACTION_TO: dict[UpstreamAction, Any] = {
    UpstreamAction.PROBE: pb.UPSTREAM_ACTION_PROBE,
    UpstreamAction.EJECT: pb.UPSTREAM_ACTION_EJECT,
    UpstreamAction.RESTORE: pb.UPSTREAM_ACTION_RESTORE,
}
_ACTION_FROM: dict[int, UpstreamAction] = {number: action for action, number in _ACTION_TO.items()}


def place_to(place: UpstreamPlace) -> pb.UpstreamPlace:
    """Return the message."""
    message = pb.UpstreamPlace(
        upstream=place.upstream,
        endpoint=place.endpoint,
        model=place.model,
        state=_STATE_TO[place.state],
        reason=place.reason,
        in_flight=place.in_flight,
        waiting=place.waiting,
        limit=place.limit,
        probe_outcome=place.probe_outcome,
    )
    for name in ("since", "until", "probed_at"):
        if (moment := getattr(place, name)) is not None:
            getattr(message, name).FromDatetime(moment)
    if place.latency is not None:
        message.latency.FromTimedelta(place.latency)
    return message


def place_from(message: pb.UpstreamPlace) -> UpstreamPlace:
    """Return the value; a state of a later version is not told."""
    return UpstreamPlace(
        upstream=message.upstream,
        endpoint=message.endpoint,
        model=message.model,
        state=_STATE_FROM.get(message.state, PlaceCondition.UNTOLD),
        reason=message.reason,
        since=_moment(message, "since"),
        until=_moment(message, "until"),
        latency=message.latency.ToTimedelta() if message.HasField("latency") else None,
        in_flight=message.in_flight,
        waiting=message.waiting if message.HasField("waiting") else None,
        limit=message.limit if message.HasField("limit") else None,
        probed_at=_moment(message, "probed_at"),
        probe_outcome=message.probe_outcome,
    )


def order_to(order: UpstreamOrder) -> pb.ControlUpstreamRequest:
    """Return the message."""
    message = pb.ControlUpstreamRequest(
        upstream=order.upstream,
        model=order.model,
        action=_ACTION_TO[order.action],
        reason=order.reason,
        force=order.force,
    )
    if order.duration is not None:
        message.duration.FromTimedelta(order.duration)
    return message


def order_from(message: pb.ControlUpstreamRequest) -> UpstreamOrder:
    """Return the value.

    Raises:
        InvalidRequest: if the action is not known, or the duration none, or too long.
    """
    action = _ACTION_FROM.get(message.action)
    if action is None:
        raise InvalidRequest("action must be one of probe, eject and restore.", field="action")
    return UpstreamOrder(
        upstream=message.upstream,
        model=message.model,
        action=action,
        duration=duration_from(message, "duration", MAX_EJECTION),
        reason=message.reason,
        force=message.force,
    )


def _moment(message: pb.UpstreamPlace, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None

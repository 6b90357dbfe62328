"""Upstreams as the contract's messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock.gateway.v1 import upstream_pb2 as pb
from penstock_common.contract.inference import PlaceCondition, UpstreamPlace

_STATES: dict[PlaceCondition, Any] = {
    PlaceCondition.UNTOLD: pb.UpstreamPlace.STATE_UNSPECIFIED,
    **{
        state: pb.UpstreamPlace.State.Value(f"STATE_{state.name}")
        for state in PlaceCondition
        if state is not PlaceCondition.UNTOLD
    },
}


def place_messages(places: Iterable[UpstreamPlace]) -> list[pb.UpstreamPlace]:
    """Return the places in their order."""
    return [_message(place) for place in places]


def _message(place: UpstreamPlace) -> pb.UpstreamPlace:
    message = pb.UpstreamPlace(
        upstream=place.upstream,
        endpoint=place.endpoint,
        model=place.model,
        state=_STATES[place.state],
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

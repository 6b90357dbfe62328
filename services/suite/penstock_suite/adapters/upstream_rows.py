"""Upstreams of the contract as people see them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from penstock.gateway.v1 import upstream_pb2 as pb
from penstock_suite.domain.answers import UpstreamRow

_STATES: dict[Any, str] = {
    pb.UpstreamPlace.STATE_UNSPECIFIED: "",
    pb.UpstreamPlace.STATE_OK: "ok",
    pb.UpstreamPlace.STATE_SLOW: "slow",
    pb.UpstreamPlace.STATE_COOLING: "cooling",
    pb.UpstreamPlace.STATE_EJECTED: "ejected",
    pb.UpstreamPlace.STATE_PROBING: "probing",
    pb.UpstreamPlace.STATE_BY_HAND: "by hand",
}
_MS_PER_SECOND = 1e3


def upstream_rows(places: Iterable[pb.UpstreamPlace]) -> tuple[UpstreamRow, ...]:
    """Return the places in their order; a state of a later gateway is its number."""
    return tuple(_row(place) for place in places)


def _row(place: pb.UpstreamPlace) -> UpstreamRow:
    latency = place.latency.ToTimedelta().total_seconds() * _MS_PER_SECOND if place.HasField("latency") else None
    return UpstreamRow(
        upstream=place.upstream,
        model=place.model,
        endpoint=place.endpoint,
        state=_STATES.get(place.state, str(place.state)),
        reason=place.reason,
        since=_moment(place, "since"),
        until=_moment(place, "until"),
        latency_ms=latency,
        in_flight=place.in_flight,
        waiting=place.waiting if place.HasField("waiting") else None,
        limit=place.limit if place.HasField("limit") else None,
        probed_at=_moment(place, "probed_at"),
        probe_outcome=place.probe_outcome,
    )


def _moment(place: pb.UpstreamPlace, field: Literal["since", "until", "probed_at"]) -> datetime | None:
    if not place.HasField(field):
        return None
    moment: datetime = getattr(place, field).ToDatetime(tzinfo=UTC)
    return moment.replace(microsecond=0)

"""How every upstream is, as people see it, and the operator's word on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from penstock_common.contract.inference import (
    MAX_EJECTION,
    PlaceCondition,
    UpstreamAction,
    UpstreamOrder,
    UpstreamPlace,
)
from penstock_common.errors import InvalidRequest
from penstock_inference.domain.health.registry import Health, PlaceState
from penstock_inference.domain.load.gate import Gate

Gates = Callable[[], Iterable[tuple[str, Gate]]]
"""Returns the upstreams that have limits, by name; of two of a name the later is the newer."""


async def nobody_to_tell() -> None:
    """There are no other replicas."""


def utc_now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


class UpstreamControl:
    """Lists the places of all upstreams, and does with them as the operator says; ``share`` tells the other replicas."""

    def __init__(
        self,
        health: Health,
        gates: Gates,
        share: Callable[[], Awaitable[None]] = nobody_to_tell,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._health = health
        self._gates = gates
        self._share = share
        self._now = now

    def list(self) -> tuple[UpstreamPlace, ...]:
        """Return every place, in the order of the configuration."""
        return self._seen(self._health.states())

    async def obey(self, order: UpstreamOrder) -> tuple[UpstreamPlace, ...]:
        """Return the places that were meant, once it is done and the other replicas could hear of it.

        Raises:
            ResourceNotFound: if there is no such upstream, or model of it.
            ResourceState: if nobody would be left, and it is not forced.
            InvalidRequest: if it is to be left out for no time, or too long.
        """
        health = self._health
        match order.action:
            case UpstreamAction.PROBE:
                health.probe_now(order.upstream, order.model)
            case UpstreamAction.EJECT:
                seconds = _checked(order.duration).total_seconds()
                health.eject(order.upstream, order.reason, seconds, order.model, force=order.force)
            case UpstreamAction.RESTORE:
                health.restore(order.upstream, order.model)
        await self._share()
        return self._seen(health.states_of(order.upstream, order.model))

    def _seen(self, states: Sequence[PlaceState]) -> tuple[UpstreamPlace, ...]:
        gates, now = dict(self._gates()), self._now()
        return tuple(_seen(state, gates.get(state.name.upstream), now) for state in states)


def _checked(duration: timedelta | None) -> timedelta:
    if duration is None or not timedelta() < duration <= MAX_EJECTION:
        raise InvalidRequest(f"duration must be longer than 0 and at most {MAX_EJECTION.days} days.", field="duration")
    return duration


def _seen(state: PlaceState, gate: Gate | None, now: datetime) -> UpstreamPlace:
    name = state.name
    return UpstreamPlace(
        upstream=name.upstream,
        endpoint=name.endpoint,
        model=name.model,
        state=PlaceCondition(state.state.value),
        reason=state.reason,
        since=None if state.since_seconds is None else now - timedelta(seconds=state.since_seconds),
        until=None if state.until_seconds is None else now + timedelta(seconds=state.until_seconds),
        latency=None if state.latency_seconds is None else timedelta(seconds=state.latency_seconds),
        in_flight=state.in_flight,
        waiting=None if gate is None else len(gate.queue),
        limit=None if gate is None or gate.most_inside == float("inf") else int(gate.most_inside),
        probed_at=None if state.probed_seconds is None else now - timedelta(seconds=state.probed_seconds),
        probe_outcome=state.probe_outcome,
    )

"""How upstreams are told to people, and what is done with them by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from penstock_common.contract.inference import MAX_EJECTION, PlaceCondition, UpstreamAction, UpstreamOrder
from penstock_common.errors import InvalidRequest, ResourceNotFound, ResourceState
from penstock_common.priority import Priority
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.load.gate import Gate, GateLimits
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream_control import UpstreamControl

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)


class World:
    """Two upstreams of a model each, the first with two endpoints and a limit; a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.shared = 0
        self.health = Health(clock=lambda: self.now, chance=lambda: 0.5)
        for name, endpoints in (("u", ("here", "there")), ("v", ("",))):
            made = [Endpoint(None, endpoint) for endpoint in endpoints]  # pyright: ignore[reportArgumentType] - never asked
            Pool(made, self.health.upstream(name)).places("m")
        self.gate = Gate(GateLimits(concurrent_requests=2), asyncio.get_running_loop())
        self.control = UpstreamControl(self.health, lambda: [("u", self.gate)], self._share, lambda: NOON)

    async def _share(self) -> None:
        self.shared += 1

    async def order(self, action: UpstreamAction, upstream: str = "u", **more):
        return await self.control.obey(UpstreamOrder(upstream=upstream, action=action, **more))


@pytest.fixture
async def world():
    return World()


def states(places):
    return [place.state for place in places]


async def test_places_are_told_with_reason_and_times_of_day(world):
    first, second, third = world.health.places.values()
    first.eject(world.now, "connect")
    second.group.cool(world.now, 30)
    third.latency.peak = 0.25
    third.in_flight = 4
    world.now += 10
    told = world.control.list()
    assert [(place.upstream, place.endpoint, place.model) for place in told] == [
        ("u", "here", "m"), ("u", "there", "m"), ("v", "", "m"),
    ]  # fmt: skip
    assert states(told) == [PlaceCondition.EJECTED, PlaceCondition.COOLING, PlaceCondition.OK]
    ten_seconds = timedelta(seconds=10)
    assert [place.since for place in told] == [NOON - ten_seconds, NOON - ten_seconds, None]
    assert [place.until for place in told] == [None, NOON + timedelta(seconds=20), None]
    assert [place.reason for place in told] == ["connect", "rate_limited", ""]
    assert (told[0].latency, told[2].latency, told[2].in_flight) == (None, timedelta(seconds=0.25), 4)


async def test_where_limits_stand_is_told_for_upstreams_that_have_some(world):
    assert world.gate.try_enter(Priority.CRITICAL, 0)
    assert world.gate.try_enter(Priority.CRITICAL, 0)
    waiting = asyncio.create_task(world.gate.enter("t", Priority.CRITICAL, 0, 1000))
    await asyncio.sleep(0)
    assert [(place.waiting, place.limit) for place in world.control.list()] == [(1, 2), (1, 2), (None, None)]
    world.gate.leave(0, 0)
    assert await waiting


async def test_an_upstream_is_put_out_for_a_time_and_taken_back_and_others_are_told(world):
    out = await world.order(UpstreamAction.EJECT, model="m", duration=TEN_MINUTES, reason="maintenance")
    assert states(out) == [PlaceCondition.BY_HAND] * 2
    assert [(place.reason, place.since, place.until) for place in out] == [
        ("maintenance", NOON, NOON + TEN_MINUTES)
    ] * 2
    assert world.shared == 1
    back = await world.order(UpstreamAction.RESTORE)
    assert states(back) == [PlaceCondition.OK] * 2
    assert [place.until for place in back] == [None] * 2
    assert world.shared == 2


async def test_the_last_is_put_out_by_force_alone(world):
    await world.order(UpstreamAction.EJECT, "v", duration=TEN_MINUTES)
    with pytest.raises(ResourceState, match="Without u nobody is left"):
        await world.order(UpstreamAction.EJECT, duration=TEN_MINUTES)
    assert states(world.control.list()) == [PlaceCondition.OK, PlaceCondition.OK, PlaceCondition.BY_HAND]
    await world.order(UpstreamAction.EJECT, duration=TEN_MINUTES, force=True)
    assert states(world.control.list()) == [PlaceCondition.BY_HAND] * 3


async def test_a_probe_by_hand_comes_at_once_and_its_outcome_is_told(world):
    (place,) = await world.order(UpstreamAction.PROBE, "v")
    assert (place.probed_at, place.probe_outcome) == (None, "")
    (probed,) = world.health.due_probes()
    world.health.probe_ended(probed, 0.1, "answered", None)
    assert [(place.probed_at, place.probe_outcome) for place in world.control.list()][2] == (NOON, "answered")


@pytest.mark.parametrize("action", UpstreamAction)
@pytest.mark.parametrize(("upstream", "model"), [("w", ""), ("u", "other"), ("", "")])
async def test_who_is_not_there_is_named(action, upstream, model, world):
    with pytest.raises(ResourceNotFound, match="There is no upstream"):
        await world.order(action, upstream, model=model, duration=TEN_MINUTES)
    assert world.shared == 0


@pytest.mark.parametrize(
    "duration", [None, timedelta(), timedelta(seconds=-1), MAX_EJECTION + timedelta(microseconds=1)]
)
async def test_an_ejection_has_an_end(duration, world):
    with pytest.raises(InvalidRequest, match="at most 30 days") as told:
        await world.order(UpstreamAction.EJECT, duration=duration)
    assert told.value.field == "duration"


def test_every_state_of_a_place_can_be_told():
    assert {state.value for state in State} == {state.value for state in PlaceCondition} - {""}

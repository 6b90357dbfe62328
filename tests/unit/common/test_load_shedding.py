"""Who is turned away by a process that fills, on a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from penstock_common.configuration import Configuration, ConfigurationError, Section
from penstock_common.errors import Overloaded
from penstock_common.priority import RESERVED_SECONDS, Priority, Room
from penstock_common.rpc.scope import RequestScope
from penstock_common.rpc.server_call import ServerCall
from penstock_common.rpc.shedding import LoadShedding, Shed
from penstock_common.sections import RoomSettings
from penstock_common.telemetry.steps import Steps

CRITICAL, DEFAULT, SHEDDABLE = Priority
ROOM = RoomSettings(router=100, cache=100).of("router")


def call_of(priority: Priority) -> ServerCall:
    """Return a call of a request that matters so much."""
    return ServerCall("/penstock.test.v1.TestService/Ask", RequestScope(priority=priority), None, Steps())


class World:
    """A process with room for a hundred."""

    def __init__(self, room: Room = ROOM) -> None:
        self.now = 1000.0
        self.shedding = LoadShedding(room, lambda: self.now)
        self.inside: list[ServerCall] = []

    async def fill(self, priority: Priority, count: int = 200) -> int:
        """Let so many come; return how many are inside then."""
        for _ in range(count):
            call = call_of(priority)
            try:
                await self.shedding.on_start(call)
            except Overloaded as refusal:
                self.shedding.on_end(call, refusal)
            else:
                self.inside.append(call)
        return len(self.inside)

    def told(self) -> dict[tuple[str, ...], float]:
        """Return what the metrics say, by name and class."""
        samples = [sample for family in self.shedding.collect() for sample in family.samples]
        return {(each.name, each.labels.get("class", "")): each.value for each in samples}


async def test_each_class_fills_its_share_and_the_one_above_goes_on():
    world = World()
    assert await world.fill(SHEDDABLE) == 70
    assert await world.fill(CRITICAL, 1) == 71
    assert await world.fill(DEFAULT) == 80
    assert await world.fill(SHEDDABLE, 1) == 80
    assert await world.fill(CRITICAL) == 95


async def test_a_fifth_is_kept_for_critical_requests_only_while_they_come():
    world = World()
    assert await world.fill(DEFAULT) == 95
    await world.fill(CRITICAL, 1)
    for call in world.inside[:20]:
        world.shedding.on_end(call, None)
    world.inside = world.inside[20:]
    assert await world.fill(DEFAULT) == 80
    world.now += RESERVED_SECONDS
    assert await world.fill(DEFAULT) == 95


async def test_who_was_turned_away_takes_no_place_with_it_and_who_leaves_makes_one():
    world = World()
    await world.fill(SHEDDABLE)
    for call in world.inside:
        world.shedding.on_end(call, None)
        world.shedding.on_end(call, None)
    world.inside = []
    assert world.told()["penstock_service_calls_in_flight", ""] == 0
    assert await world.fill(SHEDDABLE) == 70


async def test_what_was_turned_away_is_counted_by_class():
    world = World()
    await world.fill(SHEDDABLE, 75)
    await world.fill(CRITICAL, 26)
    told = world.told()
    assert told["penstock_service_calls_shed_total", "sheddable"] == 5
    assert told["penstock_service_calls_shed_total", "default"] == 0
    assert told["penstock_service_calls_shed_total", "critical"] == 1
    assert told["penstock_service_calls_limit", "critical"] == 95
    assert told["penstock_service_calls_in_flight", ""] == 95


async def test_a_refusal_says_why_and_when_to_come_again_and_whether_another_process_may_help():
    for role, kind in (("router", Shed), ("cache", Overloaded)):
        room = RoomSettings(router=1, cache=1).of(role)
        shedding = LoadShedding(room)
        await shedding.on_start(call_of(DEFAULT))
        with pytest.raises(Overloaded, match=f"The {role} service is busy with 1 calls.*priority is default") as caught:
            await shedding.on_start(call_of(DEFAULT))
        assert type(caught.value) is kind
        assert caught.value.retry_after.total_seconds() > 0


class _Services(Section):
    room: RoomSettings = RoomSettings()


class _Document(Section):
    services: _Services = _Services()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"router": 0}, "services.room.router"),
        ({"critical_share": 1.5}, "services.room.critical_share"),
        ({"sheddable_share": 0.9}, "what matters less may not fill more"),
        ({"default_share": 0.99}, "what matters less may not fill more"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(written: dict[str, Any], told: str):
    with pytest.raises(ConfigurationError, match=told):
        Configuration({"services": {"room": written}}).settings(_Document)

"""The router's listener: what it passes on, and how long it believes what it heard last."""

import pytest
import structlog

from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Condition, Unheard, UpstreamState, Word
from penstock_router.adapters.listener import Listener

NAME = Candidate(upstream="a", model="m")
EJECTED = Word(0.0, [UpstreamState(candidate=NAME, condition=Condition.EJECTED, since_seconds=1.0)])


class Source:
    """Says what a test has it say, or that nothing can be heard."""

    def __init__(self):
        self.said = [EJECTED]
        self.fault = None

    async def words(self):
        if self.fault is not None:
            raise self.fault
        return self.said


class World:
    def __init__(self):
        self.now = 1000.0
        self.source = Source()
        self.heard = []
        self.listener = Listener(self.source, self.heard.append, 5.0, lambda: self.now)


@pytest.fixture
def world():
    return World()


async def test_what_is_said_is_passed_on_and_so_is_that_nobody_says_anything(world):
    await world.listener.listen()
    assert world.heard[-1][NAME].condition is Condition.EJECTED
    world.source.said = []
    await world.listener.listen()
    assert world.heard[-1] == {}


@pytest.mark.parametrize("fault", [Unheard("Redis is away"), RuntimeError("odd")])
async def test_what_was_heard_last_is_believed_for_a_time_and_then_is_nothing(fault, world):
    await world.listener.listen()
    world.source.fault = fault
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            world.now += 1.0
            await world.listener.listen()
        assert len(world.heard) == 1
        world.now += 0.1
        await world.listener.listen()
    assert world.heard[1:] == [{}]
    assert [entry["event"] for entry in logs] == ["upstreams_not_heard"]
    world.source.fault = None
    await world.listener.listen()
    assert NAME in world.heard[-1]


async def test_who_has_never_heard_anything_believes_nothing(world):
    world.source.fault = Unheard("Redis is away")
    await world.listener.listen()
    assert world.heard == [{}]

"""What is told of a candidate: of its places the best counts, and what made it so."""

from __future__ import annotations

import pytest

from penstock_common.llm.types import Candidate, GenerationInput, Message, Role, Text, Usage
from penstock_common.upstreams.state import Condition, UpstreamState
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.place import Place
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.summary import summary
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import UpstreamCall

NAME = Candidate(upstream="u", model="m")
VALUE = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * 400),)),))


class World:
    """An upstream with two places, on a clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.health = Health(clock=lambda: self.now, chance=lambda: 0.5)
        names = ("e1", "e2")
        endpoints = [Endpoint(None, name, name) for name in names]  # pyright: ignore[reportArgumentType] - never asked
        self.pool = Pool(endpoints, self.health.upstream("u"))
        self.one, self.other = self.pool.places("m")

    def answer(
        self,
        seconds: float,
        place: Place,
        *,
        whole: bool = False,
        output_tokens: int = 10,
        then: float = 0.0,
        shown: bool = False,
        cached: int = 0,
        thoughts: int = 0,
    ) -> None:
        call = UpstreamCall("m", VALUE, 3.0, lambda: None, lambda: None, whole)
        turn = Turn(self.health, place, self.pool.endpoints[0], call)
        self.now += seconds
        turn.content_came()
        self.now += then
        turn.shows_thoughts = shown
        turn.answered(Usage(100, output_tokens, cached, reasoning_tokens=thoughts))

    @property
    def told(self) -> UpstreamState:
        (state,) = summary(self.health)
        return state


@pytest.fixture
def world() -> World:
    return World()


def test_of_whom_nothing_is_known_nothing_is_told(world: World) -> None:
    assert summary(world.health) == []


def test_a_candidate_is_out_once_all_of_its_places_are(world: World) -> None:
    world.one.eject(world.now, "connect")
    assert (world.told.candidate, world.told.condition, world.told.reason) == (NAME, Condition.OK, "")
    world.now += 10
    world.other.eject(world.now, "server_error")
    world.now += 2
    told = world.told
    assert (told.condition, told.reason, told.since_seconds) == (Condition.EJECTED, "server_error", 2)
    world.one.restore(world.now, "")
    world.now += 1
    assert (world.told.condition, world.told.since_seconds) == (Condition.OK, 1)


def test_who_is_being_probed_is_still_out(world: World) -> None:
    for place in (world.one, world.other):
        place.eject(world.now, "connect")
        place.is_probed = True
        place.good_probes = 2
    assert world.told.condition is Condition.EJECTED


def test_the_operators_word_is_told_where_no_place_is_better(world: World) -> None:
    world.health.eject("u", "maintenance", 60, force=True)
    assert (world.told.condition, world.told.reason) == (Condition.BY_HAND, "maintenance")
    world.other.eject(world.now, "cut")
    assert (world.told.condition, world.told.reason) == (Condition.EJECTED, "cut")


def test_a_candidate_cools_while_all_do_who_could_be_asked(world: World) -> None:
    world.one.eject(world.now, "connect")
    world.now += 5
    world.other.group.cool(world.now, 60)
    world.now += 1
    assert (world.told.condition, world.told.reason) == (Condition.COOLING, "rate_limited")
    assert world.told.since_seconds == 1
    world.now += 60
    assert (world.told.condition, world.told.since_seconds) == (Condition.OK, 66)


def test_one_place_that_is_not_slow_makes_it_well(world: World) -> None:
    world.one.slow_down(world.now)
    assert world.told.condition is Condition.OK
    world.other.slow_down(world.now)
    assert (world.told.condition, world.told.reason) == (Condition.SLOW, "latency")


def test_the_latency_is_that_of_streams_once_some_have_come(world: World) -> None:
    for _ in range(30):
        world.answer(9.0, world.one, whole=True)
    assert world.told.latency_seconds is None
    for _ in range(4):
        world.answer(0.2, world.one)
    assert world.told.latency_seconds is None
    world.answer(0.2, world.one)
    world.now += 7
    assert world.told.latency_seconds == pytest.approx(0.2)
    assert world.told.measured_seconds == pytest.approx(7)
    for _ in range(5):
        world.answer(0.4, world.other)
    assert world.told.latency_seconds == pytest.approx(0.3)


def test_the_length_of_answers_and_the_pace_of_streams_are_told_once_some_have_come(world: World) -> None:
    for _ in range(4):
        world.answer(0.2, world.one, output_tokens=101, then=2.0)
    assert summary(world.health) == []
    world.answer(0.2, world.one, output_tokens=101, then=2.0)
    assert world.told.output_tokens == pytest.approx(101)
    assert world.told.token_seconds == pytest.approx(0.02)
    # Of the other place nothing of pace is known, as its answers come whole.
    for _ in range(5):
        world.answer(9.0, world.other, output_tokens=301, whole=True)
    assert world.told.output_tokens == pytest.approx(201)
    assert world.told.token_seconds == pytest.approx(0.02)


def test_pace_and_length_follow_what_comes_now_and_a_packet_is_no_pace(world: World) -> None:
    for _ in range(200):
        world.answer(0.2, world.one, output_tokens=101, then=2.0)
    for _ in range(200):
        world.answer(0.2, world.one, output_tokens=11, then=1.0)
    assert world.told.output_tokens == pytest.approx(11, abs=0.5)
    assert world.told.token_seconds == pytest.approx(0.1, abs=0.001)
    for _ in range(200):
        world.answer(0.2, world.one, output_tokens=3, then=5.0)
    assert world.told.token_seconds == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize("counted", [10**18, 1_000_001, -7])
def test_an_upstream_that_counts_absurdly_is_not_believed(world: World, counted: int) -> None:
    for _ in range(5):
        world.answer(0.2, world.one, output_tokens=101, then=2.0)
    world.answer(0.2, world.one, output_tokens=counted, then=2.0)
    assert world.told.output_tokens == pytest.approx(101)


def test_the_share_of_cached_input_is_that_of_late_answers(world: World) -> None:
    for _ in range(4):
        world.answer(0.1, world.one, cached=80)
    assert summary(world.health) == []
    world.answer(0.1, world.one, cached=80)
    assert world.told.cached_share == pytest.approx(0.8)
    for _ in range(200):
        world.answer(0.1, world.one)
    assert world.told.cached_share == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("counted", [-5, 10**12])
def test_a_count_that_cannot_be_is_no_share_beyond_all(world: World, counted: int) -> None:
    for _ in range(6):
        world.answer(0.1, world.one, cached=counted)
    assert world.told.cached_share == (0 if counted < 0 else 1)


@pytest.mark.parametrize(("shown", "seconds"), [(False, 0.1), (True, 0.01)])
def test_thoughts_that_nobody_sees_are_no_tokens_of_the_time_after_the_first(
    world: World, shown: bool, seconds: float
) -> None:
    for _ in range(5):
        world.answer(9.0, world.one, output_tokens=1001, thoughts=900, then=10.0, shown=shown)
    assert world.told.token_seconds == pytest.approx(seconds)
    assert world.told.output_tokens == 1001

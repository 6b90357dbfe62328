"""Places learn from their turns: who goes out, who is not to blame, and how one comes back."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penstock_common.errors import ResourceNotFound, ResourceState
from penstock_common.llm.types import GenerationInput, Message, Role, Text, Usage
from penstock_common.rpc.scope import RequestScope
from penstock_inference.adapters.telemetry import HealthMetrics
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.place import OperatorsWord, Place
from penstock_inference.domain.health.registry import Health, Trouble
from penstock_inference.domain.health.rules import GOOD_PROBES, State
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import UpstreamCall

USAGE = Usage(input_tokens=100, output_tokens=10)


def call(prompt: str = "x" * 400, *, whole: bool = False) -> UpstreamCall:
    """Return what an upstream is asked."""
    value = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text=prompt),)),))
    return UpstreamCall("m", value, 3.0, lambda: None, lambda: None, whole)


class World:
    """A pool of endpoints on a clock that stands still until it is told."""

    def __init__(self, endpoints: int = 1) -> None:
        self.now = 1000.0
        self.scope = RequestScope()
        self.health = Health(clock=lambda: self.now, chance=lambda: 0.5, whose=lambda: self.scope)
        self.pool = Pool([Endpoint(None, f"e{number}") for number in range(endpoints)], self.health.upstream("u"))  # pyright: ignore[reportArgumentType] - never asked
        self.places = self.pool.places("m")
        self.requests = 0

    @property
    def place(self) -> Place:
        return self.places[0]

    def turn(self, place: Place | None = None, tenant: str = "a", request: str = "", **more: bool) -> Turn:
        """Begin an attempt."""
        self.requests += 1
        self.scope = RequestScope(request or f"r{self.requests}", tenant)
        if place is None:
            return self.pool.turn(call(**more))
        return Turn(self.health, place, self.pool.endpoints[self.places.index(place)], call(**more))

    def answer(self, times: int = 1, seconds: float = 0.1, place: Place | None = None, tenant: str = "a") -> None:
        """Have attempts answered, one after another."""
        for _ in range(times):
            turn = self.turn(place, tenant)
            self.now += seconds
            turn.content_came()
            turn.answered(USAGE)

    def fail(
        self,
        kind: FailureKind = FailureKind.CONNECT,
        times: int = 5,
        place: Place | None = None,
        failure: Callable[[], AttemptFailed] | None = None,
        **who: str,
    ) -> None:
        """Have attempts fail, one after another."""
        for _ in range(times):
            turn = self.turn(place, **who)
            turn.failed(AttemptFailed(kind, "it failed") if failure is None else failure())

    def probe(self, failure: AttemptFailed | None = None, seconds: float = 0.05) -> int:
        """Let all probes that are due end so; return how many there were."""
        due = list(self.health.due_probes())
        for place in due:
            assert place.is_probed
            self.health.probe_ended(place, seconds, "", failure)
        return len(due)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.health.tick()


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.CONNECT, FailureKind.CERTIFICATE, FailureKind.TIMEOUT, FailureKind.CUT, FailureKind.MALFORMED,
        FailureKind.OVERSIZE, FailureKind.EMPTY, FailureKind.MISCONFIGURED, FailureKind.SERVER_ERROR,
    ],
    ids=lambda kind: kind.value,
)  # fmt: skip
def test_five_failures_in_a_row_eject(kind: FailureKind) -> None:
    world = World()
    world.fail(kind, 4)
    assert world.place.state(world.now) is State.OK
    world.fail(kind, 1)
    assert world.place.state(world.now) is State.EJECTED
    (told,) = world.health.states()
    assert (told.state, told.reason, told.since_seconds) == (State.EJECTED, kind.value, 0)


NOT_GUILTY = [
    FailureKind.BAD_REQUEST, FailureKind.CONTEXT_LENGTH, FailureKind.REFUSED, FailureKind.DEADLINE, FailureKind.DIVERGED,
    FailureKind.UNSUPPORTED, FailureKind.ADAPTER, FailureKind.RATE_LIMITED,
]  # fmt: skip


@pytest.mark.parametrize("kind", NOT_GUILTY, ids=lambda kind: kind.value)
def test_what_says_nothing_against_the_upstream_ejects_nobody(kind: FailureKind) -> None:
    world = World()
    world.fail(kind, 1000)
    assert not world.place.is_out
    assert world.place.in_flight == world.place.budget.in_flight == 0
    assert not world.place.waiting


def test_a_thousand_who_leave_eject_nobody() -> None:
    world = World()
    for _ in range(1000):
        world.turn().left()
    assert not world.place.is_out
    assert world.health.upstream("u").trouble is Trouble.NONE


def test_the_timer_that_a_slow_reader_uses_up_is_no_failure() -> None:
    world = World()
    world.fail(failure=lambda: AttemptFailed(FailureKind.TIMEOUT, "too long", stage="total"), times=50)
    assert not world.place.is_out


def test_one_tenants_poison_ejects_nobody_for_others_once_a_probe_has_answered() -> None:
    world = World()
    world.answer(tenant="b")
    for _ in range(10):
        world.fail(FailureKind.SERVER_ERROR, 5, tenant="poison")
        world.answer(tenant="b")
        world.pass_time(1)
        world.probe()
        assert not world.place.is_out


def test_where_the_probe_fails_too_it_was_the_upstream() -> None:
    world = World()
    world.answer(tenant="b")
    world.fail(FailureKind.SERVER_ERROR, 5, tenant="a")
    assert not world.place.is_out
    assert world.probe(AttemptFailed(FailureKind.SERVER_ERROR, "it failed")) == 1
    assert world.place.is_out


def test_one_request_alone_ejects_nobody_before_a_probe_has_failed() -> None:
    world = World()
    world.fail(times=5, request="poison")
    assert not world.place.is_out
    world.probe(AttemptFailed(FailureKind.CONNECT, "it failed"))
    assert world.place.is_out


KEY_REFUSED = pytest.mark.parametrize("kind", [FailureKind.CREDENTIALS, FailureKind.QUOTA], ids=lambda kind: kind.value)


@KEY_REFUSED
def test_a_key_that_is_refused_is_out_at_once_and_probed_at_once_then_every_five_minutes(kind: FailureKind) -> None:
    world = World(3)
    world.fail(kind, 1, place=world.places[0])
    assert [place.is_out for place in world.places] == [True, False, False]
    assert world.probe(AttemptFailed(kind, "refused")) == 1
    world.pass_time(299)
    assert world.probe() == 0
    world.pass_time(1)
    assert world.probe() == 1


@KEY_REFUSED
def test_a_request_that_is_refused_as_if_the_key_were_puts_nobody_out_who_answers(kind: FailureKind) -> None:
    world = World()
    for _ in range(10):
        world.answer(tenant="b")
        world.fail(kind, 5, tenant="poison")
        assert not world.place.is_out
        world.pass_time(2)
        assert world.probe() == 1


@KEY_REFUSED
def test_a_key_that_is_refused_after_answers_is_out_as_soon_as_a_probe_says_so(kind: FailureKind) -> None:
    world = World()
    world.answer()
    world.fail(kind, 1)
    assert not world.place.is_out
    assert world.probe(AttemptFailed(kind, "refused")) == 1
    assert (world.place.is_out, world.place.key_refused) == (True, True)
    world.pass_time(299)
    assert world.probe() == 0


@KEY_REFUSED
def test_a_first_request_that_is_refused_so_costs_three_probes_and_no_five_minutes(kind: FailureKind) -> None:
    world = World()
    world.fail(kind, 1)
    assert [world.probe() for _ in range(GOOD_PROBES)] == [1, 1, 1]
    assert not world.place.is_out


@KEY_REFUSED
def test_a_refused_key_does_not_end_the_operators_word(kind: FailureKind) -> None:
    world = World()
    turn = world.turn()
    world.health.eject("u", "maintenance", 1800, force=True)
    turn.failed(AttemptFailed(kind, "refused"))
    assert world.place.state(world.now) is State.BY_HAND


def test_three_good_probes_in_a_row_bring_it_back_and_they_follow_at_once() -> None:
    world = World()
    world.fail()
    world.pass_time(9.9)
    assert world.probe() == 0
    world.pass_time(0.1)
    assert [world.probe(), world.probe()] == [1, 1]
    assert world.place.state(world.now) is State.PROBING
    assert world.probe(AttemptFailed(FailureKind.CONNECT, "again")) == 1
    assert world.place.state(world.now) is State.EJECTED
    world.pass_time(10)
    assert [world.probe() for _ in range(GOOD_PROBES)] == [1, 1, 1]
    assert world.place.state(world.now) is State.OK
    assert world.probe() == 0


@pytest.mark.parametrize("minutes", [1, 9, 15, 120])
def test_after_an_outage_of_any_length_it_is_back_within_thirty_seconds(minutes: int) -> None:
    for chance in (0.0, 0.5, 0.999):
        world = World()
        world.health.chance = lambda chance=chance: chance
        world.fail()
        ends = world.now + minutes * 60
        while world.now < ends:
            world.pass_time(0.25)
            world.probe(AttemptFailed(FailureKind.CONNECT, "still"))
        well_at = world.now
        while world.place.is_out:
            world.pass_time(0.25)
            world.probe()
        assert world.now - well_at <= 30


def test_one_probe_of_an_upstream_is_open_at_a_time() -> None:
    world = World(4)
    for place in world.places:
        world.fail(times=5, place=place)
    assert all(place.is_out for place in world.places)
    world.pass_time(60)
    assert len(list(world.health.due_probes())) == 1
    assert list(world.health.due_probes()) == []


@pytest.mark.parametrize(
    ("endpoints", "failing", "out"),
    [(1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 1, 1), (3, 2, 1), (3, 3, 3), (4, 2, 2), (4, 3, 2), (4, 4, 4)],
)
def test_at_most_half_of_a_pool_is_out_while_any_of_the_rest_is_well(endpoints: int, failing: int, out: int) -> None:
    world = World(endpoints)
    for place in world.places:
        world.answer(place=place)
    for place in world.places[:failing]:
        world.fail(times=5, place=place)
    assert sum(place.is_out for place in world.places) == out


def test_silence_of_those_who_wait_is_evidence_before_any_timer_ends() -> None:
    world = World()
    world.answer(100, 0.3)
    waiting = [world.turn() for _ in range(5)]
    world.pass_time(2.6)
    assert world.place.condition is not State.EJECTED
    world.pass_time(0.2)
    assert (world.place.condition, world.place.reason) == (State.EJECTED, "silent")
    for turn in waiting:
        turn.left()


def test_one_tenants_silent_requests_put_nobody_out_where_others_ask_and_a_probe_answers() -> None:
    world = World()
    world.answer(100, 0.3, tenant="b")
    waiting = [world.turn(tenant="slow") for _ in range(20)]
    for _ in range(20):
        world.pass_time(0.5)
        world.probe()
        assert world.place.condition is State.OK
    for turn in waiting:
        turn.left()


def test_silence_that_a_probe_meets_too_is_the_upstreams() -> None:
    world = World()
    world.answer(100, 0.3, tenant="b")
    waiting = [world.turn(tenant="slow") for _ in range(5)]
    world.pass_time(2.8)
    assert world.probe(AttemptFailed(FailureKind.TIMEOUT, "silent", stage="first_token")) == 1
    world.pass_time(0.25)
    assert (world.place.condition, world.place.reason) == (State.EJECTED, "silent")
    for turn in waiting:
        turn.left()


def test_silence_that_two_tenants_hear_is_the_upstreams() -> None:
    world = World()
    world.answer(100, 0.3, tenant="b")
    waiting = [world.turn(tenant=tenant) for tenant in ("a", "a", "a", "a", "b")]
    world.pass_time(2.8)
    assert (world.place.condition, world.place.reason) == (State.EJECTED, "silent")
    for turn in waiting:
        turn.left()


def hurried() -> AttemptFailed:
    """Return the failure of an attempt whose caller had no time."""
    return AttemptFailed(FailureKind.TIMEOUT, "no first token in time", stage="first_token", hurried=True)


def test_callers_in_a_hurry_put_nobody_out_before_a_probe_has_failed() -> None:
    world = World()
    for _ in range(4):
        world.fail(failure=hurried, times=50)
        assert not world.place.is_out
        assert world.probe() == 1
        world.pass_time(2)
    world.fail(failure=hurried, times=5)
    assert world.probe(AttemptFailed(FailureKind.TIMEOUT, "silent", stage="first_token")) == 1
    assert world.place.is_out


def test_a_few_that_wait_long_while_others_are_answered_are_no_evidence() -> None:
    world = World()
    world.answer(100, 0.3)
    for _ in range(20):
        world.turn()
    for _ in range(100):
        world.answer()
        world.pass_time(0.1)
    assert world.place.condition is State.OK


def test_who_waits_for_a_long_prompt_is_patient() -> None:
    world = World()
    world.answer(100, 0.3)
    for number in range(20):
        world.scope = RequestScope(f"long {number}", "a")
        world.pool.turn(call("x" * 400_000))
    world.pass_time(600)
    assert world.place.condition is State.OK


def test_tenfold_latency_is_slow_within_ten_seconds_and_over_thirty_seconds_after_it_is() -> None:
    world = World()
    world.answer(100, 0.5)
    begun = world.now
    open_turns = list[Turn]()
    # Ten requests a second; none of these is answered within five seconds.
    while world.place.condition is State.OK:
        open_turns.append(world.turn())
        world.pass_time(0.1)
    assert world.place.condition is State.SLOW
    assert world.now - begun <= 10
    for turn in open_turns:
        turn.left()
    for _ in range(3):
        world.pass_time(10)
        assert world.probe(seconds=5.0) == 1
    assert world.place.condition is State.SLOW
    well_at = world.now
    while world.place.condition is State.SLOW:
        world.pass_time(0.25)
        world.probe(seconds=0.1)
    assert world.now - well_at <= 30


def test_slow_for_ten_minutes_is_usual() -> None:
    world = World()
    world.answer(100, 0.1)
    world.answer(6, 2.0)
    assert world.place.condition is State.SLOW
    world.pass_time(600)
    assert world.place.condition is State.OK
    world.answer(100, 2.0)
    assert world.place.condition is State.OK


def test_a_rate_limit_cools_everybody_who_shares_the_quota() -> None:
    world = World()
    other = Pool([Endpoint(None, "", "u")], world.health.upstream("v"))  # pyright: ignore[reportArgumentType] - never asked
    other.places("m")
    world.fail(times=1, failure=lambda: AttemptFailed(FailureKind.RATE_LIMITED, "slowly", timedelta(seconds=60)))
    assert other.look("m") == (State.COOLING, 60, False)
    assert {place.state for place in world.health.states()} == {State.COOLING}
    assert {place.until_seconds for place in world.health.states()} == {60}
    world.pass_time(60)
    assert other.look("m").state is State.OK
    assert world.health.upstream("v").trouble is Trouble.NONE


def test_ejected_by_hand_no_probe_brings_it_back_before_its_time() -> None:
    world = World(2)
    world.health.upstream("v")
    Pool([Endpoint(None)], world.health.upstream("v")).places("m")  # pyright: ignore[reportArgumentType] - never asked
    world.health.eject("u", "maintenance", 1800)
    assert world.pool.look("m").state is State.BY_HAND
    for _ in range(100):
        world.pass_time(17)
        world.probe()
    assert world.pool.look("m").state is State.BY_HAND
    world.pass_time(100)
    assert world.pool.look("m").state is State.OK


def test_the_last_is_not_ejected_by_hand_without_force_and_strangers_are_refused() -> None:
    world = World()
    with pytest.raises(ResourceState, match="Without u nobody is left"):
        world.health.eject("u", "why", 60)
    with pytest.raises(ResourceState, match="Without u/m nobody is left"):
        world.health.eject("u", "why", 60, "m")
    assert world.place.condition is State.OK
    world.health.eject("u", "why", 60, force=True)
    world.health.restore("u", "m")
    assert world.place.condition is State.OK
    for act in (world.health.probe_now, world.health.restore, world.health.states_of):
        with pytest.raises(ResourceNotFound, match="There is no upstream 'w'") as told:
            act("w")
        assert (told.value.kind, told.value.name) == ("upstream", "w")
        with pytest.raises(ResourceNotFound, match="There is no upstream 'u/other'"):
            act("u", "other")


def test_a_key_that_is_refused_meanwhile_does_not_lift_the_operators_word() -> None:
    world = World(2)
    under_way = world.turn(world.place)
    world.health.eject("u", "maintenance", 60, force=True)
    under_way.failed(AttemptFailed(FailureKind.CREDENTIALS, "who are you?"))
    assert world.place.condition is State.BY_HAND
    world.pass_time(60)
    assert world.place.condition is State.OK
    assert not world.place.key_refused


def test_restored_by_hand_what_spoke_against_it_is_forgotten() -> None:
    world = World(2)
    world.fail(place=world.place)
    world.health.restore("u")
    world.fail(times=4, place=world.place)
    assert world.place.condition is State.OK
    world.fail(times=1, place=world.place)
    assert world.place.condition is State.EJECTED


@pytest.mark.parametrize("is_out", [True, False])
def test_a_probe_can_be_had_at_once_and_what_it_found_is_told(is_out) -> None:
    world = World()
    if is_out:
        world.fail()
    assert world.probe() == 0
    (state,) = world.health.states()
    assert state.probed_seconds is None
    world.health.probe_now("u", "m")
    (place,) = world.health.due_probes()
    world.health.probe_ended(place, 0.05, "connect", AttemptFailed(FailureKind.CONNECT, "it failed"))
    world.pass_time(3)
    (state,) = world.health.states_of("u")
    assert (state.probed_seconds, state.probe_outcome) == (3, "connect")
    assert world.probe() == 0


def test_whom_the_operator_has_put_out_is_not_probed() -> None:
    world = World()
    world.health.eject("u", "maintenance", 60, force=True)
    world.health.probe_now("u")
    assert world.probe() == 0


def test_what_is_known_outlives_a_new_pool_and_goes_with_its_name() -> None:
    world = World()
    world.fail()
    again = Pool([Endpoint(None, "e0"), Endpoint(None, "e1")], world.health.upstream("u"))  # pyright: ignore[reportArgumentType] - never asked
    assert [place.is_out for place in again.places("m")] == [True, False]
    world.health.look_after({again.health: again.places("m")[1:]})
    assert [place.name.endpoint for place in world.health.states()] == ["e1"]


KINDS = st.sampled_from(list(FailureKind))


class Traffic(RuleBasedStateMachine):
    """Anything may happen to three places in any order; what holds holds throughout, and all ends well."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(3)
        self.open: list[Turn] = []
        self.probed: list[Place] = []
        self.until = 0.0

    @rule(tenant=st.sampled_from(["a", "b"]), whole=st.booleans())
    def begin(self, tenant: str, whole: bool) -> None:
        self.open.append(self.world.turn(tenant=tenant, whole=whole))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), usage=st.booleans())
    def answer(self, data: st.DataObject, usage: bool) -> None:
        turn = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        turn.content_came()
        turn.answered(USAGE if usage else None)
        turn.left()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), kind=KINDS, told=st.one_of(st.none(), st.integers(0, 100)), spoke=st.booleans())
    def fail(self, data: st.DataObject, kind: FailureKind, told: int | None, spoke: bool) -> None:
        turn = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        if spoke:
            turn.content_came()
        turn.failed(AttemptFailed(kind, "", None if told is None else timedelta(seconds=told)))

    @precondition(lambda self: self.open)
    @rule()
    def leave(self) -> None:
        self.open.pop().left()

    @rule(seconds=st.floats(0.1, 100))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule()
    def begin_probes(self) -> None:
        self.probed += self.world.health.due_probes()

    @precondition(lambda self: self.probed)
    @rule(kind=st.one_of(st.none(), KINDS))
    def end_probe(self, kind: FailureKind | None) -> None:
        failure = None if kind is None else AttemptFailed(kind, "")
        self.world.health.probe_ended(self.probed.pop(), 0.1, "", failure)

    @invariant()
    def counts_are_right(self) -> None:
        places = self.world.places
        assert sum(place.in_flight for place in places) == places[0].budget.in_flight == len(self.open)
        assert sum(len(place.waiting) for place in places) <= len(self.open)
        assert sum(place.is_probed for place in places) <= 1

    @invariant()
    def a_cool_down_only_lengthens(self) -> None:
        until = self.world.place.group.until
        assert until >= self.until
        self.until = until

    @invariant()
    def somebody_is_chosen_and_who_is_well_before_who_is_out(self) -> None:
        turn = self.world.turn()
        assert not turn.place.is_out or all(place.is_out for place in self.world.places)
        turn.left()

    @invariant()
    def who_is_not_well_is_looked_at(self) -> None:
        if any(place.state(self.world.now) is not State.OK for place in self.world.places):
            assert self.world.health.upstream("u").trouble

    @invariant()
    def who_is_out_or_slow_will_be_probed(self) -> None:
        for place in self.world.places:
            if place.condition in (State.EJECTED, State.SLOW):
                assert place.is_probed or place.probe_due < math.inf

    def teardown(self) -> None:
        world = self.world
        while self.open:
            self.leave()
        while self.probed:
            self.end_probe(None)
        for _ in range(400):
            world.pass_time(10)
            world.probe()
        assert [place.state(world.now) for place in world.places] == [State.OK] * 3
        assert world.health.upstream("u").trouble is Trouble.NONE


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize(
    ("kind", "is_silent"), [(FailureKind.DEADLINE, True), (FailureKind.BAD_REQUEST, False)], ids=["deadline", "refusal"]
)
def test_a_callers_deadline_is_no_word_of_the_upstream_and_a_refusal_is(kind: FailureKind, is_silent: bool) -> None:
    world = World()
    world.answer(100, 0.3)
    for _ in range(5):
        world.turn()
    world.now += 2.7
    world.fail(kind, 1)
    world.pass_time(0.1)
    assert (world.place.condition is State.EJECTED) is is_silent


def test_an_answer_that_was_asked_for_before_the_outage_brings_nobody_back() -> None:
    world = World()
    earlier = world.turn()
    world.now += 1
    world.fail()
    for turn in (earlier, world.turn()):
        world.now += 1
        turn.content_came()
        turn.answered(USAGE)
        assert world.place.good_probes == (turn is not earlier)


def test_what_an_operator_has_put_out_no_failure_puts_out_anew() -> None:
    world = World()
    world.place.heed(OperatorsWord(world.now, 600.0, "maintenance"), world.now)
    world.fail(times=50)
    assert (world.place.condition, world.place.reason) == (State.BY_HAND, "maintenance")


def test_what_prompt_caches_had_is_counted_by_model_where_the_upstream_counts():
    world = World(endpoints=2)
    for place in world.places:
        world.turn(place).answered(Usage(input_tokens=100, cached_input_tokens=40))
    uncounted = world.turn()
    uncounted.answered(None)
    families = HealthMetrics(world.health).collect()
    told = {
        sample.name: (sample.labels, sample.value)
        for family in families
        for sample in family.samples
        if "input_tokens" in sample.name
    }
    labels = {"upstream": "u", "model": "m"}
    assert told == {
        "penstock_inference_input_tokens_total": (labels, 200),
        "penstock_inference_cached_input_tokens_total": (labels, 80),
    }

"""Whom to ask next where some are out, slow or without quota, and what a retry costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_common import errors
from penstock_common.llm.types import Candidate, GenerationInput
from penstock_common.rpc.scope import RequestScope
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.place import Place
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.load.admission import SATURATED
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.succession import LONGEST_WAIT, Succession
from penstock_inference.domain.upstream import UpstreamCall

HALF = 0.5
SPREAD = HALF * 0.5
CALL = UpstreamCall("m", GenerationInput(model="fast", messages=()), 3.0, lambda: None, lambda: None)


class World:
    """Upstreams a, b, ... of one endpoint each, or of more, on a clock that stands still."""

    def __init__(self, upstreams: str = "abc", endpoints: int = 1) -> None:
        self.now = 1000.0
        self.seconds_left = float("inf")
        self.health = Health(clock=lambda: self.now, chance=lambda: HALF, whose=lambda: RequestScope())
        self.models = [Model(Candidate(upstream=name, model="m")) for name in upstreams]
        self.pools = {
            name: Pool([Endpoint(None, f"e{number}") for number in range(endpoints)], self.health.upstream(name))  # pyright: ignore[reportArgumentType] - never asked
            for name in upstreams
        }
        for pool in self.pools.values():
            pool.places("m")

    def succession(self) -> Succession:
        """Return a walk over all of them."""
        return Succession(self.models, lambda: self.seconds_left, lambda: HALF, pools=self.pools)

    def place(self, upstream: str) -> Place:
        return self.pools[upstream].places("m")[0]

    def eject(self, *upstreams: str) -> None:
        for name in upstreams:
            self.place(name).eject(self.now, "connect")
            self.now += 1

    def cool(self, upstream: str, seconds: float) -> None:
        self.place(upstream).group.cool(self.now, seconds)


def asked(made: Succession) -> str:
    """Return whom it asks now."""
    return made.current.candidate.upstream


def begin(made: Succession) -> Turn:
    """Begin an attempt, as the loop does."""
    made.begin()
    return made.turn(CALL)


def fail(made: Succession, turn: Turn, kind: FailureKind, seconds: float | None = None) -> float | None:
    """Let an attempt fail, as the loop does; return the pause before the next."""
    failure = AttemptFailed(kind, "it failed", None if seconds is None else timedelta(seconds=seconds))
    turn.failed(failure)
    return made.after(failure)


def walked(made: Succession) -> str:
    """Return who is asked, in order, where everybody is silent."""
    names = ""
    delay = made.delay
    while delay is not None:
        names += asked(made)
        delay = fail(made, begin(made), FailureKind.TIMEOUT)
    return names


def test_who_is_well_comes_first_then_who_is_slow_and_who_is_out_last() -> None:
    world = World("abcd")
    world.eject("a")
    world.place("b").slow_down(world.now)
    made = world.succession()
    assert made.passed_over == "a/m ejected, b/m slow"
    assert walked(made) == "cdba"


def test_time_is_left_for_others_that_could_answer_and_for_nobody_else() -> None:
    assert World("ab").succession().others_could_answer
    assert not World("a").succession().others_could_answer
    world = World("abc")
    world.eject("b")
    assert world.succession().others_could_answer
    world.health.eject("c", "maintenance", 60)
    made = world.succession()
    assert (asked(made), made.others_left, made.others_could_answer) == ("a", True, False)
    world.health.restore("c")
    longest = LONGEST_WAIT.total_seconds()
    world.cool("c", longest)
    assert world.succession().others_could_answer
    world.cool("c", longest + 0.1)
    assert not world.succession().others_could_answer


@pytest.mark.parametrize(("seconds", "delay"), [(5, 5 + SPREAD), (None, 1 + SPREAD)], ids=["told", "not told"])
def test_a_rate_limit_is_waited_for_longer_where_the_others_are_out(seconds: float | None, delay: float) -> None:
    world = World("ab")
    world.eject("b")
    made = world.succession()
    assert fail(made, begin(made), FailureKind.RATE_LIMITED, seconds) == pytest.approx(delay)
    assert asked(made) == "a"
    # So do those who come meanwhile, and those who wake to a longer one.
    later = world.succession()
    assert (asked(later), later.delay) == ("a", pytest.approx(delay))
    world.now += delay
    world.cool("a", 2.5)
    assert (later.woken(), asked(later)) == (pytest.approx(2.5 + SPREAD), "a")


def test_in_the_place_of_a_probe_alone_is_asked_who_is_out() -> None:
    world = World("ab")
    world.eject("a")
    one, other = world.succession(), world.succession()
    for made in (one, other):
        fail(made, begin(made), FailureKind.TIMEOUT)
        if made is one:
            turn = begin(made)
    assert asked(one) == "a"
    assert turn.holds_probe
    assert asked(other) == "b"
    assert isinstance(other.error, errors.UpstreamTimeout)
    assert list(world.health.due_probes()) == []
    turn.left()
    assert not world.place("a").is_probed


def test_of_those_that_are_all_out_the_least_bad_is_asked() -> None:
    world = World("abc")
    world.eject("c", "b", "a")
    world.place("b").good_probes = 1
    assert walked(world.succession())[0] == "b"


def test_the_key_that_is_refused_is_worse_than_an_outage() -> None:
    world = World("ab")
    world.place("a").key_refused = True
    world.eject("a", "b")
    assert asked(world.succession()) == "b"


def test_who_is_ejected_by_hand_is_never_asked() -> None:
    world = World("ab")
    world.health.eject("a", "maintenance", 60)
    world.health.eject("b", "maintenance", 60, force=True)
    made = world.succession()
    assert made.delay is None
    assert isinstance(made.error, errors.NoHealthyUpstream)
    assert "a/m by hand, b/m by hand" in made.error.message


def test_who_is_slow_is_asked_where_there_is_no_choice() -> None:
    world = World("a")
    world.place("a").slow_down(world.now)
    assert world.succession().delay == 0


@pytest.mark.parametrize(("seconds", "delay", "name"), [(2.0, 2.0 + SPREAD, "a"), (2.1, 0.0, "b")])
def test_a_short_cool_down_of_the_first_is_waited_for_by_who_comes_meanwhile(
    seconds: float, delay: float, name: str
) -> None:
    world = World("ab")
    world.cool("a", seconds)
    made = world.succession()
    assert (made.delay, asked(made)) == (pytest.approx(delay), name)


@pytest.mark.parametrize(("seconds", "delay", "name"), [(2.0, 2.0 + SPREAD, "a"), (2.1, 0.0, "b")])
def test_and_by_who_was_refused(seconds: float, delay: float, name: str) -> None:
    made = World("ab").succession()
    assert fail(made, begin(made), FailureKind.RATE_LIMITED, seconds) == pytest.approx(delay)
    assert asked(made) == name


def test_a_short_cool_down_that_does_not_fit_the_deadline_is_not_waited_for() -> None:
    world = World("ab")
    world.seconds_left = 1.0
    world.cool("a", 1.5)
    assert asked(world.succession()) == "b"


def test_a_rate_limit_that_says_nothing_fails_over_at_once_and_nobody_else_is_asked_meanwhile() -> None:
    world = World("ab")
    made = world.succession()
    assert fail(made, begin(made), FailureKind.RATE_LIMITED) == 0
    assert asked(made) == "b"
    # One second: the next waits for it.
    later = world.succession()
    assert (asked(later), later.delay) == ("a", pytest.approx(1 + SPREAD))


def test_where_all_cool_down_the_soonest_is_told() -> None:
    world = World("abc")
    for name, seconds in (("a", 3600), ("b", 41.5), ("c", 60)):
        world.cool(name, seconds)
    made = world.succession()
    assert made.delay is None
    assert isinstance(made.error, errors.RateLimited)
    assert made.error.retry_after == timedelta(seconds=42)


def test_where_all_cool_down_for_a_short_time_it_is_waited_for() -> None:
    world = World("a")
    world.cool("a", LONGEST_WAIT.total_seconds())
    assert world.succession().delay == pytest.approx(LONGEST_WAIT.total_seconds() + SPREAD)


def test_the_last_refusal_tells_the_soonest_of_all() -> None:
    world = World("ab")
    made = world.succession()
    fail(made, begin(made), FailureKind.RATE_LIMITED, 30)
    assert fail(made, begin(made), FailureKind.RATE_LIMITED, 3600) is None
    assert isinstance(made.error, errors.RateLimited)
    assert made.error.retry_after == timedelta(seconds=30)


def test_who_wakes_looks_again_and_waits_on_or_goes_elsewhere() -> None:
    world = World("ab")
    made = world.succession()
    fail(made, begin(made), FailureKind.RATE_LIMITED, 1)
    world.now += 1.25
    world.cool("a", 1.0)
    assert made.woken() == pytest.approx(1 + SPREAD)
    world.now += 1.25
    assert made.woken() == 0
    world.cool("a", 60)
    made._promised = 0  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as if it had been waiting
    assert made.woken() == 0
    assert asked(made) == "b"


def test_nobody_waits_for_ever_on_a_cool_down_that_is_lengthened_again_and_again() -> None:
    world = World("a")
    made = world.succession()
    delay = fail(made, begin(made), FailureKind.RATE_LIMITED, 1)
    waited = 0.0
    while delay:
        waited += delay
        world.now += delay
        world.cool("a", 1.0)
        delay = made.woken()
    assert delay is None
    assert waited <= LONGEST_WAIT.total_seconds() + 2
    assert isinstance(made.error, errors.RateLimited)


def test_who_wakes_to_an_upstream_that_went_out_meanwhile_goes_elsewhere_and_hands_the_retry_back() -> None:
    world = World("ab")
    made = world.succession()
    assert fail(made, begin(made), FailureKind.SERVER_ERROR)
    assert world.place("a").budget.retries == 1
    world.eject("a")
    assert made.woken() == 0
    assert asked(made) == "b"
    assert world.place("a").budget.retries == 0


def test_a_retry_that_its_upstreams_limits_do_not_let_in_is_handed_back_and_is_nobody_elses() -> None:
    world = World("ab")
    made = world.succession()
    assert fail(made, begin(made), FailureKind.SERVER_ERROR)
    # It waited for its turn in vain.
    made.begin()
    assert made.after(SATURATED) == 0
    assert asked(made) == "b"
    turn = begin(made)
    assert (turn.is_retry, world.place("a").budget.retries) == (False, 0)
    turn.left()
    assert [world.place(name).budget.retries for name in "ab"] == [0, 0]


def test_of_two_hundred_that_fail_at_once_few_ask_again_and_all_find_another() -> None:
    world = World("ab")
    made = [world.succession() for _ in range(200)]
    turns = [begin(each) for each in made]
    for each, turn in zip(made, turns, strict=True):
        fail(each, turn, FailureKind.CONNECT)
    retrying = [each for each in made if asked(each) == "a"]
    assert 0 < len(retrying) <= 5
    assert world.place("a").budget.retries == len(retrying)
    assert world.place("a").is_out
    for each in retrying:
        each.leave()
    assert world.place("a").budget.retries == 0


def test_a_spent_budget_is_the_original_error_at_once_and_says_so() -> None:
    world = World("a")
    world.place("a").budget.tokens = 0
    made = world.succession()
    assert fail(made, begin(made), FailureKind.SERVER_ERROR) is None
    assert made.retry_refused
    assert isinstance(made.error, errors.UpstreamFailed)


def test_a_retry_counts_until_its_attempt_ends() -> None:
    world = World("a")
    made = world.succession()
    fail(made, begin(made), FailureKind.SERVER_ERROR)
    turn = begin(made)
    assert (turn.is_retry, world.place("a").budget.retries) == (True, 1)
    turn.left()
    assert world.place("a").budget.retries == 0


@pytest.mark.parametrize(
    "kind",
    [FailureKind.CONNECT, FailureKind.TIMEOUT, FailureKind.CREDENTIALS, FailureKind.QUOTA],
    ids=lambda kind: kind.value,
)
def test_another_replica_or_key_of_the_same_upstream_is_asked_before_the_next_candidate(kind: FailureKind) -> None:
    world = World("ab", endpoints=2)
    made = world.succession()
    first = begin(made)
    assert fail(made, first, kind) == 0
    assert asked(made) == "a"
    second = begin(made)
    assert second.place is not first.place
    assert not second.is_retry
    fail(made, second, kind)
    assert asked(made) == "b"


@pytest.mark.parametrize(("upstreams", "next_one"), [("a", "a"), ("ab", "b")])
def test_who_is_out_is_repeated_where_nobody_else_is_left(upstreams: str, next_one: str) -> None:
    world = World(upstreams)
    made = world.succession()
    turn = begin(made)
    world.eject("a")
    assert fail(made, turn, FailureKind.SERVER_ERROR) is not None
    assert asked(made) == next_one


def test_who_broke_off_is_asked_again_at_the_cost_of_a_retry_and_not_without_one() -> None:
    world = World("a")
    cut = AttemptFailed(FailureKind.CUT, "it was cut")
    made = world.succession()
    begin(made).failed(cut)
    assert made.after_break(cut) is not None
    assert (made.holds_retry, world.place("a").budget.retries) == (True, 1)
    world.place("a").budget.tokens = 0.0
    poor = world.succession()
    begin(poor).failed(cut)
    assert poor.after_break(cut) is None
    assert poor.retry_refused


def test_an_open_probe_stays_the_only_one_however_many_ask_who_is_out() -> None:
    world = World("a")
    world.eject("a")
    turns = [begin(world.succession()) for _ in range(4)]
    assert [turn.holds_probe for turn in turns] == [True, False, False, False]
    for turn in turns[1:]:
        turn.left()
        assert world.place("a").is_probed
    turns[0].left()
    assert not world.place("a").is_probed


def test_an_answer_in_the_place_of_a_probe_is_one_until_it_begins() -> None:
    world = World("a")
    world.eject("a")
    turn = begin(world.succession())
    assert world.place("a").is_probed
    turn.content_came()
    assert not world.place("a").is_probed
    world.now += 60
    assert list(world.health.due_probes()) == [world.place("a")]
    turn.left()
    assert world.place("a").is_probed


def test_another_replica_makes_an_answer_whole_whose_own_fell_silent() -> None:
    world = World("a", endpoints=2)
    made = world.succession()
    turn = begin(made)
    silent = AttemptFailed(FailureKind.TIMEOUT, "stalled", stage="idle")
    turn.failed(silent)
    assert made.after_break(silent) == 0
    assert begin(made).place is not turn.place

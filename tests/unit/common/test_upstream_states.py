"""What several replicas say of a candidate becomes one state, whatever their number, order and age."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Board, Condition, UpstreamState, Word, merged

NAME = Candidate(upstream="a", model="m")


def state(condition=Condition.OK, since=None, name=NAME, **more):
    return UpstreamState(candidate=name, condition=condition, since_seconds=since, **more)


def only(*words):
    (found,) = merged(words).values()
    return found


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        ((Condition.EJECTED, 5.0), (Condition.OK, None), Condition.EJECTED),
        ((Condition.EJECTED, 300.0), (Condition.OK, 1.0), Condition.OK),
        ((Condition.BY_HAND, 1.0), (Condition.EJECTED, 2.0), Condition.BY_HAND),
        ((Condition.OK, 3.0), (Condition.EJECTED, 3.0), Condition.EJECTED),
        ((Condition.SLOW, 3.0), (Condition.COOLING, 3.0), Condition.COOLING),
    ],
)
def test_the_latest_word_counts_and_of_those_as_old_the_worst(one, other, counts):
    words = [Word(0.0, [state(*each)]) for each in (one, other)]
    assert only(*words).condition is only(*reversed(words)).condition is counts


def test_how_old_a_word_is_makes_what_it_tells_older():
    ejected = Word(4.0, [state(Condition.EJECTED, 1.0, reason="connect", measured_seconds=2.0)])
    assert only(ejected).since_seconds == 5.0
    assert only(ejected).measured_seconds == 6.0
    assert only(ejected, Word(0.0, [state(Condition.OK, 3.0)])).condition is Condition.OK


def test_the_latency_is_the_mean_of_those_who_know_and_as_fresh_as_the_freshest():
    one = Word(0.0, [state(latency_seconds=0.2, measured_seconds=30.0)])
    other = Word(1.0, [state(latency_seconds=0.4, measured_seconds=1.0)])
    found = only(one, other, Word(0.0, [state()]))
    assert found.latency_seconds == pytest.approx(0.3)
    assert found.measured_seconds == 2.0
    assert only(Word(0.0, [state()])).latency_seconds is None


def test_length_and_pace_are_the_means_of_those_who_know():
    one = Word(0.0, [state(output_tokens=100.0, token_seconds=0.02)])
    found = only(one, Word(3.0, [state(output_tokens=300.0)]), Word(0.0, [state()]))
    assert (found.output_tokens, found.token_seconds) == (200.0, 0.02)


def test_candidates_are_kept_apart():
    beside = Candidate(upstream="b", model="m")
    found = merged([Word(0.0, [state(Condition.EJECTED, 1.0), state(name=beside)])])
    assert {name: one.condition for name, one in found.items()} == {NAME: Condition.EJECTED, beside: Condition.OK}
    assert merged([]) == {}


STATES = st.builds(
    UpstreamState,
    candidate=st.just(NAME),
    condition=st.sampled_from(Condition),
    reason=st.text(max_size=5),
    since_seconds=st.none() | st.floats(0, 1e6),
    latency_seconds=st.none() | st.floats(0, 1e3),
    measured_seconds=st.none() | st.floats(0, 1e6),
    output_tokens=st.none() | st.floats(0, 1e6),
    token_seconds=st.none() | st.floats(0, 1e3),
)


@given(st.lists(STATES, min_size=1, max_size=5), st.randoms())
def test_the_order_of_replicas_decides_nothing(states, chance):
    shuffled = chance.sample(states, len(states))
    one, other = (only(*(Word(0.0, [each]) for each in order)) for order in (states, shuffled))
    assert (one.condition, one.since_seconds) == (other.condition, other.since_seconds)
    assert one.measured_seconds == other.measured_seconds


@given(st.lists(STATES))
def test_a_word_travels_whole(states):
    assert msgspec.json.decode(msgspec.json.encode(states), type=list[UpstreamState]) == states


def test_a_later_version_may_say_more_of_a_candidate():
    said = b'[{"candidate":{"upstream":"a","model":"m"},"condition":"ejected","since_seconds":1.5,"shade":"blue"}]'
    (read,) = msgspec.json.decode(said, type=list[UpstreamState])
    assert (read.condition, read.since_seconds) == (Condition.EJECTED, 1.5)


async def test_a_board_shows_what_is_so_at_the_moment_and_nothing_before_anybody_tells():
    board, known = Board(), []
    assert merged(await board.words()) == {}
    board.tell = lambda: known
    known.append(state(Condition.SLOW, 1.0))
    assert merged(await board.words())[NAME].condition is Condition.SLOW

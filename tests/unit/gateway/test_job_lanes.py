"""Whose turn it is: by priority, then by how little a tenant has, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from penstock_common.priority import Priority
from penstock_gateway.domain.jobs.lanes import AGED_SHARE, Bounds, Lane, LaneName, Running, Turns, Waiting

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROOM = dict.fromkeys(Priority, 1000)


def lane(tenant="a", priority=Priority.DEFAULT, target="m", *, waited=1, served=None):
    served_at = None if served is None else NOW - timedelta(seconds=served)
    return Lane(LaneName(tenant, priority, target), NOW - timedelta(seconds=waited), served_at)


def allotted(lanes, places, *, running=(), turns=None, now=NOW):
    room = dict.fromkeys(Priority, places) if isinstance(places, int) else places
    return (turns or Turns(Bounds())).allot(Waiting(lanes, running, now), room)


def test_what_matters_more_goes_first():
    lanes = [lane("a", Priority.SHEDDABLE), lane("b", Priority.CRITICAL), lane("c")]
    assert [name.tenant for name in allotted(lanes, 3)] == ["b", "b", "b"]


def test_a_tenant_with_one_job_goes_before_the_one_that_has_many_running():
    many, one = lane("many", waited=1000), lane("one", waited=1)
    assert [name.tenant for name in allotted([many, one], 1, running=[Running("many", "m", 5)])] == ["one"]


def test_tenants_take_turns():
    given = Counter(name.tenant for name in allotted([lane("a"), lane("b"), lane("c")], 30))
    assert given == {"a": 10, "b": 10, "c": 10}


def test_among_equals_the_one_that_was_served_longest_ago_is_next():
    lanes = [lane("a", served=1), lane("b", served=9), lane("c", served=5)]
    assert [name.tenant for name in allotted(lanes, 3)] == ["b", "c", "a"]
    # Who never was goes before.
    assert allotted([*lanes, lane("d")], 1)[0].tenant == "d"


def test_of_one_tenants_lanes_each_gets_its_turn():
    given = Counter(name.target for name in allotted([lane("a", target="x"), lane("a", target="y")], 10))
    assert given == {"x": 5, "y": 5}


def test_one_of_ten_places_goes_to_who_has_waited_for_too_long():
    lanes = [lane("a", Priority.CRITICAL, waited=1), lane("b", Priority.SHEDDABLE, waited=601)]
    given = Counter(name.tenant for name in allotted(lanes, 100))
    assert given == {"a": 100 - 100 // AGED_SHARE, "b": 100 // AGED_SHARE}


def test_who_has_not_waited_for_long_does_not_come_between():
    lanes = [lane("a", Priority.CRITICAL, waited=1), lane("b", Priority.SHEDDABLE, waited=599)]
    assert {name.tenant for name in allotted(lanes, 100)} == {"a"}


def test_of_those_who_waited_for_too_long_the_first_is_next():
    lanes = [
        lane("a", Priority.CRITICAL),
        lane("b", Priority.SHEDDABLE, waited=700),
        lane("c", Priority.DEFAULT, waited=650),
        lane("d", Priority.SHEDDABLE, waited=900),
    ]
    assert [name.tenant for name in allotted(lanes, AGED_SHARE)] == ["a"] * (AGED_SHARE - 1) + ["d"]


def test_ageing_goes_on_from_one_claim_to_the_next():
    turns = Turns(Bounds())
    lanes = [lane("a", Priority.CRITICAL), lane("b", Priority.SHEDDABLE, waited=700)]
    given = [allotted(lanes, 1, turns=turns)[0].tenant for _ in range(3 * AGED_SHARE)]
    assert Counter(given) == {"a": 27, "b": 3}


def test_no_tenant_and_no_target_has_more_running_than_it_may():
    turns = Turns(Bounds(per_tenant=3))
    lanes, running = [lane("a"), lane("b")], [Running("a", "m", 1), Running("a", "n", 1)]
    assert Counter(name.tenant for name in allotted(lanes, 10, running=running, turns=turns)) == {"a": 1, "b": 3}
    turns = Turns(Bounds(per_target=2))
    lanes = [lane("a", target="x"), lane("b", target="x"), lane("c", target="y")]
    assert Counter(name.target for name in allotted(lanes, 10, turns=turns)) == {"x": 2, "y": 2}


def test_each_priority_has_its_places_of_which_all_are_taken_by_each():
    places = {Priority.CRITICAL: 5, Priority.DEFAULT: 3, Priority.SHEDDABLE: 2}
    lanes = [lane("a", Priority.SHEDDABLE), lane("b", Priority.DEFAULT)]
    assert [name.tenant for name in allotted(lanes, places)] == ["b", "b", "b"]
    assert [name.tenant for name in allotted(lanes[:1], places)] == ["a", "a"]
    critical = [*lanes, lane("c", Priority.CRITICAL)]
    assert [name.tenant for name in allotted(critical, places)] == ["c"] * 5


def test_without_places_or_lanes_nobody_is_next():
    assert allotted([], 5) == []
    assert allotted([lane()], 0) == []


def test_a_lane_whose_tenant_was_refused_is_left_out_until_then_and_others_are_not():
    turns = Turns(Bounds())
    turns.pause(lane("a").name, NOW + timedelta(seconds=10))
    assert {name.tenant for name in allotted([lane("a"), lane("b")], 4, turns=turns)} == {"b"}
    after = NOW + timedelta(seconds=11)
    assert {name.tenant for name in allotted([lane("a"), lane("b")], 4, turns=turns, now=after)} == {"a", "b"}

"""The door: how many are inside with how much in hand, what nobody has alone, and that it shuts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest, Overloaded, RateLimited
from penstock_common.priority import Priority
from penstock_gateway.domain.access.identity import Caller, Tenant, Tier
from penstock_gateway.domain.life.door import BODY_BYTES, Capacity, Door
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.limits.limit import Measure


def caller(tenant="t", key="k"):
    return Caller(Tenant(tenant, Tier("own")), key, frozenset())


def door_of(requests=10, body_bytes=1000, tenant_ratio=1.0, key_ratio=1.0, refusals=600):
    capacity = Capacity(requests=requests, body_bytes=body_bytes, tenant_ratio=tenant_ratio, key_ratio=key_ratio)
    return Door(capacity, Refusals(refusals))


def test_door_lets_in_as_many_as_it_may_and_no_more():
    door = door_of(requests=2)
    first = door.enter(caller())
    door.enter(caller())
    with pytest.raises(Overloaded, match="busy with 2 requests"):
        door.enter(caller())
    assert door.in_flight == 2
    first.leave()
    door.enter(caller())


def test_place_is_left_once():
    door = door_of()
    first, _ = door.enter(caller()), door.enter(caller())
    first.leave()
    first.leave()
    assert door.in_flight == 1


def test_shut_door_refuses_and_is_empty_at_once_when_nobody_is_inside():
    door = door_of()
    assert door.is_open
    door.shut()
    assert not door.is_open
    assert door.emptied.is_set()
    with pytest.raises(Overloaded, match="shutting down"):
        door.enter(caller())


def test_shut_door_is_empty_when_the_last_has_left():
    door = door_of()
    first, second = door.enter(caller()), door.enter(caller())
    door.shut()
    first.leave()
    assert not door.emptied.is_set()
    second.leave()
    assert door.emptied.is_set()


def test_open_door_is_never_declared_empty():
    door = door_of()
    door.enter(caller()).leave()
    assert not door.emptied.is_set()


@pytest.mark.parametrize(
    ("keys", "most", "whose"), [(["a"] * 5, 5, "API key"), (["a"] * 5 + ["b"] * 3, 8, "tenant")], ids=["key", "tenant"]
)
def test_nobody_has_more_than_its_share_of_the_places(keys, most, whose):
    door = door_of(requests=10, tenant_ratio=0.8, key_ratio=0.5)
    places = [door.enter(caller(key=key)) for key in keys]
    with pytest.raises(RateLimited, match=f"{whose} has {most} requests under way") as refused:
        door.enter(caller(key=keys[-1]))
    assert (refused.value.limit, refused.value.retry_after) == (Measure.CONCURRENT, timedelta(seconds=1))
    door.enter(caller("other", "c"))
    places[-1].leave()
    door.enter(caller(key=keys[-1]))


def test_share_of_little_is_one():
    door = door_of(requests=1, tenant_ratio=0.1, key_ratio=0.1)
    door.enter(caller())


@pytest.mark.parametrize(("key", "whose"), [("k", "API key"), ("other", "tenant")])
def test_nobody_has_more_than_its_share_of_the_bytes(key, whose):
    door = door_of(body_bytes=1000, tenant_ratio=0.8, key_ratio=0.5)
    first, second = door.enter(caller()), door.enter(caller(key=key))
    first.hold(500)
    second.hold(0)
    with pytest.raises(RateLimited, match=whose) as refused:
        second.hold(400)
    assert (refused.value.limit, second.held_bytes, door.held_bytes) == (BODY_BYTES, 0, 500)
    third = door.enter(caller("another", "another"))
    third.hold(500)
    first.leave()
    second.hold(400)
    assert door.held_bytes == 900


def test_a_full_process_takes_no_more_bytes():
    door = door_of(body_bytes=1000)
    door.enter(caller("a", "a")).hold(900)
    with pytest.raises(Overloaded):
        door.enter(caller("b", "b")).hold(200)


def test_a_body_that_is_alone_passes_whatever_the_shares_are():
    door = door_of(body_bytes=1000, tenant_ratio=0.1, key_ratio=0.1)
    place = door.enter(caller())
    place.hold(600)
    place.hold(5000)
    assert door.held_bytes == 5000
    place.leave()
    place.hold(7000)
    assert door.held_bytes == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 600), st.booleans())))
def test_everything_that_was_taken_is_given_back(visits):
    door = door_of(requests=20, body_bytes=2000, tenant_ratio=0.8, key_ratio=0.5)
    inside = []
    for tenant, key, size, leaves in visits:
        try:
            place = door.enter(caller(tenant, tenant + key))
            inside.append(place)
            place.hold(size)
        except (Overloaded, RateLimited):
            pass
        if leaves and inside:
            inside.pop(0).leave()
        assert door.held_bytes == sum(place.held_bytes for place in inside)
        assert door.in_flight == len(inside)
    for place in inside:
        place.leave()
    assert (door.in_flight, door.held_bytes) == (0, 0)
    assert not (door._tenants or door._keys or door._bytes_of_tenants or door._bytes_of_keys)


def test_a_key_that_was_refused_too_much_is_not_let_in_and_others_are():
    door = door_of(refusals=2)
    for _ in range(2):
        place = door.enter(caller())
        place.note_refusal(InvalidRequest("no"))
        place.leave()
    with pytest.raises(RateLimited):
        door.enter(caller())
    door.enter(caller(key="other"))
    assert door.in_flight == 1


def test_those_that_matter_less_are_turned_away_before_it_is_full():
    door = door_of(requests=10)
    places = [door.enter(caller(), Priority.SHEDDABLE) for _ in range(7)]
    with pytest.raises(Overloaded, match="whose priority is sheddable"):
        door.enter(caller(), Priority.SHEDDABLE)
    # Without critical requests all places are for the others.
    places += [door.enter(caller()) for _ in range(3)]
    for place in places:
        place.leave()
    door.enter(caller(), Priority.CRITICAL)
    for _ in range(7):
        door.enter(caller())
    with pytest.raises(Overloaded, match="whose priority is default"):
        door.enter(caller())
    assert [door.enter(caller(), Priority.CRITICAL).is_inside for _ in range(2)] == [True, True]

"""The door: how many are inside, and that it shuts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_common.errors import Overloaded
from penstock_gateway.domain.access.identity import Tenant, Tier
from penstock_gateway.domain.life.admission import (
    CONCURRENT_REQUESTS,
    REQUESTS_PER_MINUTE,
    Door,
    RateState,
    Verdict,
    refusal,
)


def test_door_lets_in_as_many_as_it_may_and_no_more():
    door = Door(2)
    door.enter()
    door.enter()
    with pytest.raises(Overloaded, match="busy with 2 requests"):
        door.enter()
    assert door.in_flight == 2
    door.leave()
    door.enter()


def test_shut_door_refuses_and_is_empty_at_once_when_nobody_is_inside():
    door = Door(2)
    assert door.is_open
    door.shut()
    assert not door.is_open
    assert door.emptied.is_set()
    with pytest.raises(Overloaded, match="shutting down"):
        door.enter()


def test_shut_door_is_empty_when_the_last_has_left():
    door = Door(2)
    door.enter()
    door.enter()
    door.shut()
    door.leave()
    assert not door.emptied.is_set()
    door.leave()
    assert door.emptied.is_set()


def test_open_door_is_never_declared_empty():
    door = Door(1)
    door.enter()
    door.leave()
    assert not door.emptied.is_set()


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [(REQUESTS_PER_MINUTE, "7 requests per minute"), (CONCURRENT_REQUESTS, "3 requests at once")],
)
def test_refusal_names_tier_limit_and_when_to_return(limit, allowed):
    tenant = Tenant("demo", Tier("free", requests_per_minute=7, concurrent_requests=3))
    error = refusal(tenant, Verdict(RateState(), limit, timedelta(seconds=1.25)))
    assert (error.limit, error.retry_after) == (limit, timedelta(seconds=1.25))
    assert "'free'" in error.message
    assert allowed in error.message
    assert "1.2 s" in error.message

"""What a key makes is never wider than itself, whatever is asked of it: every bound against an oracle of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import ModelNotPermitted, RightsExceeded
from penstock_gateway.domain.access.identity import KeyRecord, KeyScope
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.reach import check_within

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# A small world of addresses, so that networks meet, touch and miss each other.
ADDRESSES = [ip_address(f"10.0.0.{last}") for last in range(16)] + [ip_address(f"fd00::{last:x}") for last in range(16)]

four = st.builds(
    lambda start, bits: ip_network((f"10.0.0.{start}", bits), strict=False), st.integers(0, 15), st.integers(28, 32)
)
six = st.builds(
    lambda start, bits: ip_network((f"fd00::{start:x}", bits), strict=False), st.integers(0, 15), st.integers(124, 128)
)
networks = st.lists(st.one_of(four, six), max_size=3).map(tuple)
models = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3)
ends = st.one_of(st.none(), st.integers(-2, 3).map(lambda hours: NOW + timedelta(hours=hours)))


def accepted_from(held):
    return {address for address in ADDRESSES if not held or any(address in network for network in held)}


def key(**fields):
    return KeyRecord("k", "acme", b"", frozenset({KeyScope.INFERENCE}), **fields)


@given(models, networks, ends, models, networks, ends)
def test_what_passes_is_within_in_every_bound(own_models, own_networks, own_end, models, networks, end):
    actor = Actor(key_id="own", tenant="acme", models=own_models, networks=own_networks, expires_at=own_end)
    made = key(models=models, networks=networks, expires_at=end)
    within = (
        (not own_models or bool(models) and models <= own_models)
        and (not own_networks or bool(networks) and accepted_from(networks) <= accepted_from(own_networks))
        and (own_end is None or end is not None and end <= own_end)
    )
    if within:
        check_within(actor, made)
    else:
        with pytest.raises((RightsExceeded, ModelNotPermitted)):
            check_within(actor, made)


@given(models, networks, ends)
def test_a_key_may_give_itself(models, networks, end):
    actor = Actor(key_id="own", tenant="acme", models=models, networks=networks, expires_at=end)
    check_within(actor, key(models=models, networks=networks, expires_at=end))


def test_two_networks_that_touch_hold_what_lies_across_them():
    halves = (ip_network("10.0.0.0/29"), ip_network("10.0.0.8/29"))
    check_within(Actor(key_id="own", networks=halves), key(networks=(ip_network("10.0.0.0/28"),)))


@pytest.mark.parametrize(
    ("fields", "bound"),
    [
        ({}, "allowed_networks"),
        ({"networks": (ip_network("10.0.0.0/8"),)}, "allowed_networks"),
        ({"networks": (ip_network("10.1.0.0/17"), ip_network("::/0"))}, "allowed_networks"),
        ({"networks": (ip_network("10.1.2.0/24"),)}, "expires_at"),
        ({"networks": (ip_network("10.1.2.0/24"),), "expires_at": NOW + timedelta(hours=1, seconds=1)}, "expires_at"),
    ],
)
def test_refusal_names_the_bound(fields, bound):
    actor = Actor(key_id="own", networks=(ip_network("10.1.0.0/16"),), expires_at=NOW + timedelta(hours=1))
    with pytest.raises(RightsExceeded) as refused:
        check_within(actor, key(**fields))
    assert refused.value.bound == bound

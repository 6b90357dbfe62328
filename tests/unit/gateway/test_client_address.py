"""Where a request comes from, and which headers cannot make it come from elsewhere."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.access.networks import lies_within, read_network
from penstock_gateway.surfaces.client_address import ClientAddresses, grpc_peer

TOKEN = "t" * 32


def addressed(headers, peer="10.0.0.9", token=TOKEN):
    return ClientAddresses(token).of(headers, lambda: peer)


def test_direct_caller_has_its_connections_address():
    assert addressed({}) == "10.0.0.9"


def test_edge_that_shows_its_token_is_believed():
    headers = {"x-penstock-client-address": "192.0.2.1", "x-penstock-edge-token": TOKEN}
    assert addressed(headers) == "192.0.2.1"


@pytest.mark.parametrize("shown", [{}, {"x-penstock-edge-token": "wrong"}, {"x-penstock-edge-token": ""}])
def test_address_without_the_edges_token_is_none_and_never_the_peers(shown):
    assert addressed({"x-penstock-client-address": "192.0.2.1", **shown}) == ""


@pytest.mark.parametrize("shown", ["", "anything", TOKEN])
def test_no_edge_is_believed_where_no_token_is_set(shown):
    headers = {"x-penstock-client-address": "192.0.2.1", "x-penstock-edge-token": shown}
    assert addressed(headers, token="") == ""


@pytest.mark.parametrize(
    "header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "x-edge-token"]
)
def test_other_headers_are_not_looked_at(header):
    assert addressed({header: "192.0.2.1"}) == "10.0.0.9"


@pytest.mark.parametrize("said", ["", "unknown", "192.0.2.1, 10.0.0.1", "192.0.2.1:80", "\ud800", "a" * 10_000])
def test_what_is_no_address_is_none(said):
    headers = {"x-penstock-client-address": said, "x-penstock-edge-token": TOKEN}
    assert addressed(headers) == ""


@pytest.mark.parametrize(
    ("said", "address"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8:0::1", "2001:db8::1")],
)
def test_address_has_one_form(said, address):
    assert addressed({}, peer=said) == address


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:50051", "127.0.0.1"),
        ("ipv6:%5B::1%5D:50051", "::1"),
        ("ipv6:[::1]:50051", "::1"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:1", "::ffff:10.0.0.1"),
        ("unix:/run/x.sock", ""),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_grpc_names_its_peers_in_its_own_way(peer, address):
    assert grpc_peer(peer) == address


@pytest.mark.parametrize(
    ("networks", "address", "lies"),
    [
        (["192.0.2.0/24"], "192.0.2.255", True),
        (["192.0.2.0/24"], "192.0.3.0", False),
        (["2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], "192.0.2.1", False),
        (["10.0.0.0/8", "192.0.2.7"], "192.0.2.7", True),
        (["0.0.0.0/0"], "::1", False),
        (["0.0.0.0/0", "::/0"], "", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.1", True),
    ],
)
def test_address_lies_in_one_of_the_networks(networks, address, lies):
    assert lies_within([read_network(text, "f") for text in networks], address) is lies


@pytest.mark.parametrize("text", ["", "localhost", "192.0.2.1/24", "10.0.0.0/33", "::/129", "1", "x" * 1000])
def test_what_is_no_network_is_refused_by_name(text):
    with pytest.raises(InvalidRequest) as refused:
        read_network(text, "allowed_networks[0]")
    assert refused.value.field == "allowed_networks[0]"


# Trusted proxies: the same cases as services/gateway/edge/client_address_test.go

PROXIES = tuple(ip_network(text) for text in ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"))


def forwarded(chain, peer="10.0.0.1", proxies=PROXIES):
    return ClientAddresses(TOKEN, proxies).of({"x-forwarded-for": chain}, lambda: peer)


@pytest.mark.parametrize(
    ("peer", "chain", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4,198.51.100.1,10.9.9.9,192.0.2.7", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:443", "198.51.100.1"),
        ("10.0.0.1", "[2001:db9::1]:443", "2001:db9::1"),
        ("10.0.0.1", "[2001:db9::1]", "2001:db9::1"),
        ("10.0.0.1", "2001:DB9:0::1", "2001:db9::1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, _hidden", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1,", "10.0.0.1"),
        ("10.0.0.1", "garbage, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:99999", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, \ud800", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, " + "10.0.0.2," * 30 + "10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, " + "10.0.0.2," * 500 + "10.0.0.2", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_nearest_hop_that_is_no_trusted_proxy_counts(peer, chain, address):
    assert forwarded(chain, peer) == address


def test_nobody_is_believed_by_default():
    assert forwarded("198.51.100.1", proxies=()) == "10.0.0.1"


@given(st.text(max_size=200), st.lists(st.ip_addresses().map(str), max_size=4))
def test_whatever_a_caller_writes_first_moves_it_nowhere(written, proxies):
    """The proxy appends where the caller is; what the caller wrote before that is not looked at."""
    behind = [text for text in proxies if lies_within(PROXIES, text)]
    assert forwarded(", ".join([written, "198.51.100.1", *behind])) == "198.51.100.1"


def test_the_edges_word_stands_above_a_proxys():
    headers = {"x-forwarded-for": "1.2.3.4", "x-penstock-client-address": "198.51.100.1"}
    addresses = ClientAddresses(TOKEN, PROXIES)
    assert addresses.of({**headers, "x-penstock-edge-token": TOKEN}, lambda: "10.0.0.1") == "198.51.100.1"
    assert addresses.of(headers, lambda: "10.0.0.1") == ""

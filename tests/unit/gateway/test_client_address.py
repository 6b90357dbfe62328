"""Where a request comes from, and which headers cannot make it come from elsewhere."""

from __future__ import annotations

import pytest

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

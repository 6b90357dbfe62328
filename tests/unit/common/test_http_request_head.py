"""Where requests go, and that nothing in a head ends a line early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.http.address import Origin, parse_address
from penstock_common.http.request_head import RequestHead, header_line


@pytest.mark.parametrize(
    ("url", "origin", "authority", "target"),
    [
        ("http://a/v1/x", Origin("a", 80), "a", "/v1/x"),
        ("https://API.example.com/v1", Origin("api.example.com", 443, tls=True), "api.example.com", "/v1"),
        ("https://a:8443", Origin("a", 8443, tls=True), "a:8443", "/"),
        ("http://a:443/", Origin("a", 443), "a:443", "/"),
        ("http://[::1]:8000/v1", Origin("::1", 8000), "[::1]:8000", "/v1"),
        ("http://[0:0::1]/", Origin("::1", 80), "[::1]", "/"),
        ("http://under_score:1/a b/é/%41?q=1 2#f", Origin("under_score", 1), "under_score:1",
         "/a%20b/%C3%A9/%41?q=1%202"),
        ("http://bücher.example/", Origin("xn--bcher-kva.example", 80), "xn--bcher-kva.example", "/"),
    ],
)  # fmt: skip
def test_an_address_is_an_origin_and_a_target(url: str, origin: Origin, authority: str, target: str):
    address = parse_address(url)
    assert (address.origin, address.target, address.origin.authority) == (origin, target, authority)


@pytest.mark.parametrize("url", ["ftp://a", "http://", "a", "http://a b/", "http://a:99999/", "http://[zz]/"])
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(ValueError):
        parse_address(url)


def test_a_user_in_the_url_is_basic_authorization_unless_there_is_another():
    address = parse_address("http://us%40er:pass@a/")
    assert address.origin == Origin("a", 80)
    assert b"\r\nAuthorization: Basic dXNAZXI6cGFzcw==\r\n" in RequestHead("GET", address, {}).before(b"")
    assert b"Basic" not in RequestHead("GET", address, {"authorization": "Bearer x"}).before(b"")


def test_a_certificate_is_for_the_name_without_its_last_dot():
    assert parse_address("https://a.example./").origin.certificate_host == "a.example"


def test_a_head_has_everything_once():
    head = RequestHead("POST", parse_address("http://a:1/v1/x"), {"Accept": "b"})
    assert head.before(b"hello", header_line("traceparent", "00")) == (
        b"POST /v1/x HTTP/1.1\r\nHost: a:1\r\nAccept: b\r\nContent-Length: 5\r\ntraceparent: 00\r\n\r\n"
    )


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_name_and_no_value_ends_a_line_early(name: str, value: str):
    try:
        line = header_line(name, value)
    except ValueError:
        return
    assert line.count(b"\r\n") == 1
    assert line.endswith(b"\r\n")
    assert b"\n" not in line[:-2]
    assert b"\r" not in line[:-2]


@given(st.text(max_size=30))
def test_no_url_ends_a_line_early(text: str):
    try:
        sent = RequestHead("POST", parse_address(f"http://a/{text}"), {}).before(b"")
    except ValueError:
        return
    lines = sent.split(b"\r\n")
    assert len(lines) == 5
    assert lines[0].count(b" ") == 2
    assert b"\n" not in b"".join(lines)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Authorization": "Bearer x\r\nHost: b"}),
        ("POST", {"Authorization": "Bearer x\n"}),
        ("POST", {"a b": "x"}),
        ("POST", {"a:": "x"}),
        ("POST", {"Content-Length": "7"}),
        ("POST", {"transfer-encoding": "chunked"}),
        ("P T", {}),
    ],
)
def test_what_cannot_stand_in_a_head_is_refused_without_telling_it(method: str, headers: dict[str, str]):
    with pytest.raises(ValueError) as refused:
        RequestHead(method, parse_address("http://a/"), headers)
    assert "Bearer" not in str(refused.value)

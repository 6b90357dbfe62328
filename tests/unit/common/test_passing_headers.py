"""Which headers pass through: one list, to which the edge's own is held."""

import re
from pathlib import Path

import pytest

from penstock_common.http.passing import CREDENTIALS, OF_THE_WAY, may_come_back, may_pass_on

EDGE = Path(__file__).parents[3] / "services/gateway/edge/headers.go"


def test_the_edge_keeps_back_the_same():
    (listed,) = re.findall(r"var headersOfTheWay = \[\]string\{(.*?)\}", EDGE.read_text(), re.DOTALL)
    assert sorted(name.lower() for name in re.findall(r'"([^"]+)"', listed)) == sorted(OF_THE_WAY)


def test_what_the_edge_lets_pass_is_known_here():
    """Those that it names stay with the gateway, or say nothing of the caller."""
    (allowed,) = re.findall(r"var allowedRequestHeaders = .*?\{\n(.*?)\n\}", EDGE.read_text(), re.DOTALL)
    names = {name.lower() for name in re.findall(r'"([^"]+)"', allowed)}
    passing = {name for name in names if may_pass_on(name)}
    assert names & CREDENTIALS == {"authorization", "api-key", "x-api-key"}
    assert passing == {
        "accept", "anthropic-beta", "anthropic-version", "content-encoding", "content-type", "idempotency-key", "openai-beta",
        "prefer", "user-agent", "x-stainless-read-timeout", "x-stainless-retry-count",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "x-goog-api-key", "cookie", "x-penstock-key", "x-forwarded-for", "forwarded", "via", "sec-fetch-mode",
        "proxy-authorization", "x-http-method-override", "openai-project", "host", "te", "grpc-timeout", "x-tenant-id",
        "x_api_key", "api_key", "openai_organization", "x_http_method-override", "x_forwarded_for", "x_penstock_key",
    ],
)  # fmt: skip
def test_what_says_who_asks_or_how_it_came_stays(name):
    assert not may_pass_on(name)


def test_what_a_connection_names_does_not_come_back():
    headers = {
        "connection": "X-Hop , keep-alive", "x-hop": "1", "keep-alive": "5", "set-cookie": "a=b", "proxy-status": "x",
        "content-type": "a/b", "x-ratelimit-limit": "9",
    }  # fmt: skip
    assert may_come_back(headers) == (("content-type", "a/b"), ("x-ratelimit-limit", "9"))


@pytest.mark.parametrize(
    "name",
    [
        "alt-svc", "strict-transport-security", "clear-site-data", "nel", "report-to", "reporting-endpoints",
        "service-worker-allowed", "x-accel-redirect", "x-sendfile",
    ],
)  # fmt: skip
def test_an_upstream_does_not_speak_for_our_origin(name):
    """Clients would reach for another port at our host, or send no plain HTTP to it for a year; a proxy would serve a file."""
    assert may_come_back({name: "x", "etag": "1"}) == (("etag", "1"),)

"""A request's head: ids, credentials, time, cache words, and what the limit headers look like."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from penstock_common.background import background_work
from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import RequestContext
from penstock_common.priority import Priority
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.domain.access.authentication import Authenticator
from penstock_gateway.domain.access.identity import Caller, KeyRecord, KeyScope, Tenant, Tier, digest_of
from penstock_gateway.domain.access.policy import INFERENCE
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.order import CacheControl
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.limits.limit import Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import PER_MINUTE
from penstock_gateway.surfaces import arrival
from penstock_gateway.surfaces.arrival import (
    CallOptions,
    Reception,
    Timeouts,
    credential_in,
    dropped_names,
    go_duration,
    limit_headers,
    priority_in,
    priority_of,
    timeout_in,
)
from penstock_gateway.surfaces.cache_words import cache_control_in
from penstock_gateway.surfaces.client_address import ClientAddresses
from penstock_inference.adapters.providers.carried import Use

PEPPER = b"p" * 32
KEY = "configured-key-1"
EDGE_TOKEN = "e" * 32
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def reception():
    digest = digest_of(PEPPER, KEY)
    configured = {digest: KeyRecord("k", "demo", digest, frozenset({KeyScope.INFERENCE}))}
    directory = TenantDirectory({"demo": Tenant("demo", Tier("own"))}, {})
    timeouts = Timeouts(unary=timedelta(seconds=60), stream=timedelta(seconds=600))
    door = Door(Capacity(), Refusals(600))
    async with background_work() as in_background:
        authenticator = Authenticator(PEPPER, directory, configured, NoStore(), in_background)
        addresses = ClientAddresses(EDGE_TOKEN, (ip_network("10.0.0.0/8"),))
        yield Reception(door, authenticator, TraceStarter(0, random.Random(1)), timeouts, addresses)


class NoStore:
    async def find_many(self, digests):
        return {}


@pytest.mark.parametrize("request_id", ["a", "x" * 128, "A-z_0.9"])
def test_well_formed_request_id_is_kept(reception, request_id):
    assert reception.receive("openai", {"x-request-id": request_id}).request_id == request_id


@pytest.mark.parametrize("request_id", ["", "x" * 129, "a b", "a/b", "ä", "a\n", "\x00", "{}"])
def test_malformed_request_id_is_replaced(reception, request_id):
    first = reception.receive("openai", {"x-request-id": request_id}).request_id
    second = reception.receive("openai", {"x-request-id": request_id}).request_id
    assert len(first) == len(second) == 32
    assert first not in (second, request_id)


def test_trace_of_the_caller_is_continued(reception):
    trace = reception.receive("openai", {"traceparent": TRACEPARENT}).trace
    assert trace.trace_id_hex == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert trace.parent_span_id == 0x00F067AA0BA902B7
    assert trace.span_id not in (0, trace.parent_span_id)


@pytest.mark.parametrize(
    ("headers", "peer", "is_sampled"),
    [
        ({}, "192.0.2.1", False),
        ({}, "", False),
        ({"x-forwarded-for": "10.0.0.1"}, "192.0.2.1", False),
        ({"x-penstock-edge-token": "guess", "x-penstock-client-address": "10.0.0.1"}, "10.0.0.1", True),
        ({"x-penstock-edge-token": "guess"}, "192.0.2.1", False),
        ({}, "10.1.2.3", True),
        ({"x-penstock-edge-token": "e" * 32}, "192.0.2.1", True),
    ],
)
def test_only_the_edge_and_trusted_proxies_have_a_trace_sampled(reception, headers, peer, is_sampled):
    trace = reception.receive("openai", {"traceparent": TRACEPARENT, **headers}, lambda: peer).trace
    assert trace.trace_id_hex == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert trace.sampled is is_sampled
    unsampled = TRACEPARENT[:-2] + "00"
    assert not reception.receive("openai", {"traceparent": unsampled, **headers}, lambda: peer).trace.sampled


@pytest.mark.parametrize(
    "traceparent", ["", "x", TRACEPARENT[:-1], TRACEPARENT.replace("4bf9", "4BF9"), "00-" + "0" * 32]
)
def test_trace_starts_here_when_the_callers_is_malformed(reception, traceparent):
    trace = reception.receive("openai", {"traceparent": traceparent}).trace
    assert trace.parent_span_id == 0
    assert trace.trace_id != 0
    assert not trace.sampled


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"authorization": "BEARER abc"}, "abc"),
        ({"x-api-key": "abc"}, "abc"),
        ({"api-key": "abc"}, "abc"),
        ({"authorization": "Bearer abc", "x-api-key": "def"}, "abc"),
        ({"authorization": "Basic abc", "x-api-key": "def"}, "def"),
        ({"x-api-key": "", "api-key": "def"}, "def"),
        ({"authorization": "Basic abc"}, ""),
        ({"authorization": "Bearer"}, ""),
        ({"authorization": "abc"}, ""),
        ({}, ""),
    ],
)
def test_credential_is_found_where_each_sdk_puts_it(headers, credential):
    assert credential_in(headers) == credential


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("no-store", CacheControl(no_store=True)),
        ("no-cache", CacheControl(no_cache=True)),
        ("only-if-cached", CacheControl(only_if_cached=True)),
        ("max-age=0", CacheControl(max_age=timedelta(0))),
        ("max-age=60", CacheControl(max_age=timedelta(minutes=1))),
        (" No-Cache , no-store,, MAX-AGE=5 ", CacheControl(True, True, False, timedelta(seconds=5))),
        ("", CacheControl()),
    ],
)
def test_cache_words_are_understood(text, control):
    assert cache_control_in({"x-penstock-cache": text}) == control


@pytest.mark.parametrize(
    "text",
    ["nocache", "max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=²", "no-store=1"],
)
def test_cache_word_that_means_nothing_is_refused(text):
    with pytest.raises(InvalidRequest) as refused:
        cache_control_in({"x-penstock-cache": text})
    assert refused.value.field == "x-penstock-cache"


@pytest.mark.parametrize("seconds", ["1000000000", "9" * 20, "9" * 5000, "0" * 5000 + "1000000000"])
def test_a_cache_age_out_of_bounds_is_refused_with_them(seconds):
    with pytest.raises(InvalidRequest, match="max-age must be between 0 and 999999999 seconds") as refused:
        cache_control_in({"x-penstock-cache": f"max-age={seconds}"})
    assert refused.value.field == "x-penstock-cache"


@pytest.mark.parametrize("seconds", ["999999999", "0999999999", "0" * 5000 + "7"])
def test_the_longest_cache_age_is_one(seconds):
    assert cache_control_in({"x-penstock-cache": f"max-age={seconds}"}).max_age == timedelta(seconds=int(seconds[-9:]))


def test_no_cache_header_asks_for_nothing():
    assert cache_control_in({}) == CacheControl()


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), (" 3s ", 3), ("1.5m", 90), ("1h", 3600), ("999999999d", 999999999 * 86400.0)]
)
def test_timeout_is_a_duration(text, seconds):
    assert timeout_in({"x-penstock-timeout": text}) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "3", "-1s", "0s", "0.0000001ms", "1e3s", "inf", "nan", "1 s", "s"])
def test_timeout_that_is_none_is_refused(text):
    with pytest.raises(InvalidRequest) as refused:
        timeout_in({"x-penstock-timeout": text})
    assert refused.value.field == "x-penstock-timeout"


@pytest.mark.parametrize(
    ("headers", "options", "seconds"),
    [
        ({}, CallOptions(stream=False), 60),
        ({}, CallOptions(stream=True), 600),
        ({"x-penstock-timeout": "5s"}, CallOptions(stream=False), 5),
        ({"x-penstock-timeout": "5h"}, CallOptions(stream=True), 600),
        ({"x-penstock-timeout": "5h"}, CallOptions(stream=False), 600),
        ({"x-penstock-timeout": "5s"}, CallOptions(stream=True, timeout=timedelta(seconds=2)), 2),
    ],
)
async def test_call_gets_the_time_it_is_granted(reception, ask, headers, options, seconds):
    arrival = reception.receive("openai", {"x-api-key": KEY, **headers})
    caller = await reception.authorise(arrival, INFERENCE)
    call = reception.chat_call(arrival, reception.door.enter(caller), ask(), RequestContext(), options)
    assert call.order.timeout == timedelta(seconds=seconds)


async def test_generation_id_is_ours_even_when_the_request_id_repeats(reception, ask):
    arrival = reception.receive("openai", {"x-api-key": KEY, "x-request-id": "same"})
    caller = await reception.authorise(arrival, INFERENCE)
    options = CallOptions(stream=False)
    calls = [
        reception.chat_call(arrival, reception.door.enter(caller), ask(), RequestContext(), options) for _ in range(2)
    ]
    assert calls[0].order.request_id == calls[1].order.request_id == "same"
    assert calls[0].order.generation_id != calls[1].order.generation_id


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (-1, "0ms"),
        (0.0004, "0ms"),
        (0.012, "12ms"),
        (0.9996, "1000ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9994, "59.999s"),
        (59.9996, "1m0s"),
        (60, "1m0s"),
        (83.25, "1m23.25s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_duration_is_written_as_go_writes_it(seconds, text):
    assert go_duration(timedelta(seconds=seconds)) == text


def test_limit_headers_are_openais():
    standings = [
        standing("requests_per_minute", Measure.REQUESTS, 10, 3, seconds=6),
        standing("requests_per_day", Measure.REQUESTS, 1000, 999),
        standing("tokens_per_minute", Measure.TOKENS, 5000, 5, seconds=59.94),
        standing("concurrent_requests", Measure.CONCURRENT, 2, 0),
    ]
    assert limit_headers(standings, ()) == [
        ("x-ratelimit-limit-requests", "10"),
        ("x-ratelimit-remaining-requests", "3"),
        ("x-ratelimit-reset-requests", "6s"),
        ("x-ratelimit-limit-tokens", "5000"),
        ("x-ratelimit-remaining-tokens", "5"),
        ("x-ratelimit-reset-tokens", "59.94s"),
    ]


def test_of_several_limits_that_is_told_of_which_the_least_part_is_left():
    standings = [
        standing("requests_per_minute", Measure.REQUESTS, 10, 3),
        standing("requests_per_day", Measure.REQUESTS, 100_000, 4),
        standing("requests_per_hour", Measure.REQUESTS, 5, 0, shadow=True),
    ]
    assert limit_headers(standings, ())[:2] == [
        ("x-ratelimit-limit-requests", "100000"),
        ("x-ratelimit-remaining-requests", "4"),
    ]


def test_a_shadow_tells_what_it_would_have_refused():
    shadow = standing("requests_per_hour", Measure.REQUESTS, 5, 0, shadow=True)
    assert limit_headers([shadow], [shadow]) == [("x-penstock-shadow", "team search; requests_per_hour")]


def test_no_limit_has_no_headers():
    assert limit_headers((), ()) == []


def standing(name, measure, amount, remaining, *, seconds=1.0, shadow=False):
    limit = Limit("t", Scope(ScopeKind.TEAM, "search"), Allowance(measure, PER_MINUTE, amount), name, shadow)
    return Standing(limit, remaining, timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("most", "asked", "given"),
    [
        (Priority.DEFAULT, None, Priority.DEFAULT),
        (Priority.DEFAULT, "critical", Priority.DEFAULT),
        (Priority.CRITICAL, "critical", Priority.CRITICAL),
        (Priority.CRITICAL, None, Priority.DEFAULT),
        (Priority.CRITICAL, " Sheddable ", Priority.SHEDDABLE),
        (Priority.SHEDDABLE, None, Priority.SHEDDABLE),
        (Priority.SHEDDABLE, "critical", Priority.SHEDDABLE),
    ],
    ids=[
        "nothing said",
        "more than the tier",
        "as much as the tier",
        "tier alone",
        "less",
        "low tier",
        "low tier asks",
    ],
)
def test_a_request_matters_as_much_as_it_says_and_no_more_than_its_tier(most, asked, given):
    headers = {} if asked is None else {"x-penstock-priority": asked}
    caller = Caller(Tenant("demo", Tier("own", priority=most)), "k", frozenset())
    assert priority_of(priority_in(headers), caller) is given


def test_a_priority_that_means_nothing_is_refused():
    with pytest.raises(InvalidRequest, match="critical, default, sheddable"):
        priority_in({"x-penstock-priority": "urgent"})


@pytest.mark.parametrize("name", [*[use.value for use in Use], "reasoning_effort=max", "x" * 64])
def test_what_was_left_out_is_told_in_our_own_words_too(name):
    assert dropped_names((name,)) == name


@pytest.mark.parametrize("name", ["", " a", "a ", "a  b", "a\r\nb", "a, b", "a\n", "é", "x" * 65, '"a"'])
def test_a_callers_word_that_could_be_read_as_more_is_not_told(name):
    assert dropped_names((name,)) == "(another field)"


def test_the_edge_lets_every_header_through_that_is_read_here():
    surfaces = Path(arrival.__file__)
    source = surfaces.read_text()
    read = set(re.findall(r'(?:headers\.get\(|headers\[|Switch\()"(x-penstock-[a-z-]+)"', source))
    edge = (surfaces.parents[2] / "edge" / "headers.go").read_text()
    allowed = {name.lower() for name in re.findall(r'"(X-Penstock-[A-Za-z-]+)"', edge)}
    assert {"x-penstock-policy", "x-penstock-compress", "x-penstock-recovery", "x-penstock-timeout"} <= read
    assert read <= allowed

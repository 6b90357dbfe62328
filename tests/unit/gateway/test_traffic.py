"""What is told of the requests of the last minute, and for how long."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.types import UnitPrices
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.status.traffic import SLOT_SECONDS, SLOTS, TrafficWindow, UpstreamTraffic

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def row(duration_ms=10.0, **fields):
    texts = dict.fromkeys(("request_id", "tenant", "key_id", "surface", "requested_model"), "")
    defaults = {"generation_id": "g", "created_at": NOW, "outcome": "ok", "duration_ms": duration_ms}
    return LedgerRow(**{**texts, **defaults, **fields})


def attempts(*upstreams):
    """Return the steps of a life; an upstream's name with a bang has failed."""
    children = [
        Step("attempt", 0, error="UpstreamFailed" * name.endswith("!"), attributes={"upstream": name.rstrip("!")})
        for name in upstreams
    ]
    return [Step("admit", 0), Step("generate", 0, children=children), Step("settle", 0)]


@pytest.fixture
def window(clock):
    return TrafficWindow(clock.monotonic)


def test_nothing_is_known_of_no_requests(window):
    summary = window.summary()
    assert (summary.requests, summary.failures, summary.upstreams) == (0, 0, {})
    assert summary.duration_p50_ms is summary.duration_p95_ms is summary.time_to_first_token_p50_ms is None
    assert summary.cache_hit_ratio is summary.cost_per_request_nano_usd is None


@given(st.lists(st.floats(min_value=0.2, max_value=900_000), min_size=1, max_size=200))
def test_percentile_is_within_five_percent_of_the_nearest_rank(durations):
    window = TrafficWindow(lambda: 0.0)
    for duration in durations:
        window.note(row(duration, time_to_first_token_ms=duration), (), is_fault=False)
    ordered, summary = sorted(durations), window.summary()
    for share, told in ((0.5, summary.duration_p50_ms), (0.95, summary.time_to_first_token_p95_ms)):
        exact = ordered[math.ceil(len(ordered) * share) - 1]
        assert told == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("duration", [0.0, 1e-9, -1.0, 1e12])
def test_duration_beyond_the_histogram_is_counted_at_its_end(window, duration):
    window.note(row(duration), (), is_fault=False)
    assert window.summary().requests == 1
    assert window.summary().duration_p50_ms > 0


def test_counts_are_shared_out_over_the_requests(window):
    window.note(row(cost_nano_usd=300, cache_status="miss"), (), is_fault=False)
    window.note(row(cache_status="hit"), (), is_fault=False)
    window.note(row(cache_status="bypass"), (), is_fault=True)
    summary = window.summary()
    assert (summary.requests, summary.failures) == (3, 1)
    assert (summary.cache_hit_ratio, summary.cost_per_request_nano_usd) == (0.5, 100)
    assert summary.time_to_first_token_p50_ms is None


def test_request_is_forgotten_after_a_minute_and_not_before(window, clock):
    window.note(row(), (), is_fault=False)
    clock.advance(SLOT_SECONDS * (SLOTS - 1))
    assert window.summary().requests == 1
    clock.advance(SLOT_SECONDS)
    assert window.summary().requests == 0
    window.note(row(), (), is_fault=False)
    assert window.summary().requests == 1


def test_slot_is_used_again_without_what_it_held(window, clock):
    for _ in range(3):
        window.note(row(), attempts("a"), is_fault=False)
        clock.advance(SLOT_SECONDS * SLOTS)
    window.note(row(attempts=1), attempts("a"), is_fault=False)
    assert (window.summary().requests, window.summary().upstreams) == (1, {"a": UpstreamTraffic(1, 0)})


def test_attempts_are_counted_by_upstream(window):
    window.note(row(attempts=3), attempts("a!", "a!", "b"), is_fault=False)
    window.note(row(attempts=1), attempts("b"), is_fault=False)
    assert window.summary().upstreams == {"a": UpstreamTraffic(2, 2), "b": UpstreamTraffic(2, 0)}


def test_attempt_that_a_leaving_caller_ended_is_no_failure(window):
    window.note(row(attempts=1, outcome="cancelled"), attempts("a!"), is_fault=False)
    assert window.summary().upstreams == {"a": UpstreamTraffic(1, 0)}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"asked": False}, {}),
        ({"fault": "request"}, {"a": UpstreamTraffic(1, 0)}),
        ({}, {"a": UpstreamTraffic(1, 1)}),
    ],
    ids=["not asked", "the request's fault", "its own fault"],
)
def test_an_upstream_is_blamed_for_its_own_failures_alone(window, told, expected):
    attempt = Step("attempt", 0, error="it failed", attributes={"upstream": "a", **told})
    window.note(row(attempts=1), [Step("generate", 0, children=[attempt])], is_fault=False)
    assert window.summary().upstreams == expected


def test_memory_does_not_grow_with_names(window):
    for number in range(1_000):
        window.note(row(attempts=1), attempts(f"u{number}"), is_fault=False)
    assert len(window.summary().upstreams) == 256


def test_a_cost_that_nobody_knows_is_not_shared_out(window):
    window.note(row(cost_nano_usd=300), (), is_fault=False)
    window.note(row(unit_prices=UnitPrices(is_unknown=True)), (), is_fault=False)
    assert (window.summary().requests, window.summary().cost_per_request_nano_usd) == (2, 300)


def test_nobody_knows_what_a_request_costs_where_none_has_a_price(window):
    window.note(row(unit_prices=UnitPrices(is_unknown=True)), (), is_fault=False)
    assert window.summary().cost_per_request_nano_usd is None

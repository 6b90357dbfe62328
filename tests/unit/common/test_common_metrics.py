"""Counters and histograms are scraped exactly as prometheus_client's own instruments are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters, Histograms

BOUNDS = semconv.OVERHEAD_BUCKETS
COUNTED = ("penstock_things_total", 'Things, "quoted" and\nbroken.', ("kind", "of"))
MEASURED = ("penstock_waits_seconds", "Waits.", ("model",))

labels = st.sampled_from(["a", "b", "", 'quo"te', "back\\slash", "new\nline", "\U0001f600"])
values = st.one_of(st.sampled_from([*BOUNDS, 0.0, 5e-324, 1e9]), st.floats(0, 2, allow_nan=False), st.integers(0, 10))


def ours_and_theirs(counts, waits):
    """Return a registry of ours and one of prometheus_client's after the same observations."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    our_counter, our_histogram = Counters(ours, *COUNTED), Histograms(ours, *MEASURED, BOUNDS)
    their_counter = Counter(*COUNTED, registry=theirs)
    their_histogram = Histogram(*MEASURED, buckets=BOUNDS, registry=theirs)
    for kind, of, amount in counts:
        our_counter.add((kind, of), amount)
        their_counter.labels(kind, of).inc(amount)
    for model, seconds in waits:
        our_histogram.observe((model,), seconds)
        their_histogram.labels(model).observe(seconds)
    return ours, theirs


def without_times(text):
    """Return the text with the times at which counting began left open."""
    return re.sub(rb"(_created(?:\{.*\})?) \d.*", rb"\1 some time", text)


@given(st.lists(st.tuples(labels, labels, values), max_size=20), st.lists(st.tuples(labels, values), max_size=40))
def test_scrape_is_that_of_prometheus_clients_instruments(counts, waits):
    ours, theirs = ours_and_theirs(counts, waits)
    for generate in (generate_latest, generate_openmetrics):
        assert without_times(generate(ours)) == without_times(generate(theirs))


def test_series_say_since_when_they_count_unless_told_not_to(monkeypatch):
    ours, theirs = ours_and_theirs([("a", "b", 1)], [("m", 1)])
    began = {
        sample.name: sample.value
        for registry in (ours, theirs)
        for family in registry.collect()
        for sample in family.samples
        if sample.name.endswith("_created")
    }
    assert set(began) == {"penstock_things_created", "penstock_waits_seconds_created"}
    assert max(began.values()) - min(began.values()) < 60
    monkeypatch.setenv("PROMETHEUS_DISABLE_CREATED_SERIES", "true")
    assert b"_created" not in generate_latest(ours)


def test_one_family_can_be_asked_for_by_name():
    ours, theirs = ours_and_theirs([("a", "b", 1)], [("m", 1)])
    for names in (["penstock_things_total"], ["penstock_waits_seconds_sum"], ["other"]):
        asked = [without_times(generate_latest(each.restricted_registry(names))) for each in (ours, theirs)]
        assert asked[0] == asked[1]


def test_name_that_is_taken_is_refused():
    registry = CollectorRegistry()
    Counters(registry, *COUNTED)
    with pytest.raises(ValueError, match="Duplicated"):
        Counters(registry, *COUNTED)


def test_a_bucket_shows_the_last_trace_of_its_values_in_openmetrics_alone():
    registry = CollectorRegistry()
    waits = Histograms(registry, *MEASURED, (0.1, 1.0))
    for seconds, trace in ((0.05, "a" * 32), (0.5, "b" * 32), (0.6, "c" * 32), (0.7, "")):
        waits.observe(("m",), seconds)
        if trace:
            waits.exemplify(("m",), seconds, trace)
    waits.exemplify(("never observed",), 0.5, "d" * 32)
    told = generate_openmetrics(registry).decode()
    shown = dict(re.findall(r'le="([^"]+)",model="m"\} \S+ # \{trace_id="(\w+)"\} (?:\S+) \S+', told))
    assert shown == {"0.1": "a" * 32, "1.0": "c" * 32}
    assert "} 0.6 " in told
    assert "trace_id" not in generate_latest(registry).decode()
    assert "never" not in told

"""The gateway's families and what a row counts in them: names, labels, types, help and buckets are a promise."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from penstock_common.llm.types import UnitPrices, Usage
from penstock_common.telemetry import semconv
from penstock_gateway.adapters.spend_metrics import MOST_FEATURES, SpendMetrics
from penstock_gateway.adapters.telemetry import Metrics
from penstock_gateway.domain.knowledge_use.signals import RetrievalSignals
from penstock_gateway.domain.life.settlement import LedgerRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 8.0, 10.0)
OVERHEAD_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Instruments:
    """The same by prometheus_client's own instruments, as released before."""

    def __init__(self, registry):
        def counter(name, documentation, *labels):
            return Counter(name, documentation, labels, registry=registry)

        def histogram(name, documentation, buckets, *labels):
            return Histogram(name, documentation, labels, buckets=buckets, registry=registry)

        self.requests = counter("penstock_requests_total", "Requests that ended.", "surface", "model", "outcome")
        self.tokens = counter("penstock_tokens_total", "Tokens billed.", "upstream", "model", "type")
        self.cost = counter("penstock_cost_usd_total", "Dollars billed.", "upstream", "model")
        self.unpriced = counter(
            "penstock_unpriced_answers_total",
            "Answers of which nobody knows what they cost: no price is configured, and the datasheet has none.",
            "upstream",
            "model",
        )
        self.cache = counter("penstock_cache_requests_total", "What the cache did.", "result")
        told = "Tokens of answers that were given again."
        self.saved_tokens = counter("penstock_cache_saved_tokens_total", told, "model")
        told = "Dollars that answers have cost which were given again."
        self.saved_cost = counter("penstock_cache_saved_usd_total", told, "model")
        told = "Tokens of context that compression has left out."
        self.compressed = counter("penstock_compressed_tokens_total", told, "model")
        histogram(
            "penstock_longest_gap_seconds",
            "The longest silence within a streamed answer, and where it came from: upstream, reader or recovery.",
            (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0), "model", "came_from",
        )  # fmt: skip
        told = "Dollars that answers of models with routes would have cost at the best one behind: an estimate, by their tokens."
        self.best = counter("penstock_routing_best_usd_total", told, "model")
        told = "Dollars billed for the answers in penstock_routing_best_usd_total."
        self.routed = counter("penstock_routing_usd_total", told, "model")
        told = "Searches of documents; low: nothing that was found seems to have to do with the question."
        counter("penstock_retrieval_searches_total", told, "use", "outcome")
        told = "Passages that models were given, by whether the answer cites them."
        counter("penstock_retrieval_passages_total", told, "cited")
        told = "Citations in answers: of a passage, or of none that the model was given."
        counter("penstock_retrieval_citations_total", told, "of")
        told = "Findings of guardrails."
        counter("penstock_guardrails_verdicts_total", told, "rule", "action", "surface", "shadow")
        told = "Looks of guardrails that failed or were late."
        counter("penstock_guardrails_failures_total", told, "rule", "surface", "shadow")
        told = "Seconds that a guardrail has looked at the texts of one request on one surface."
        histogram("penstock_guardrails_duration_seconds", told, semconv.GUARDRAIL_BUCKETS, "rule", "surface")
        self.degraded = counter(
            "penstock_degraded_answers_total", "Answers that stood in for a model's own.", "model", "step"
        )
        self.duration = histogram(
            "gen_ai_server_request_duration_seconds", "Seconds from arrival to settlement.", REQUEST_BOUNDS, "model",
            "outcome",
        )  # fmt: skip
        self.first_token = histogram(
            "gen_ai_server_time_to_first_token_seconds", "Seconds from arrival to the first token.", TOKEN_BOUNDS,
            "model",
        )  # fmt: skip
        self.overhead = histogram(
            "penstock_overhead_seconds", "Seconds of a request not spent waiting for upstreams.", OVERHEAD_BOUNDS,
            "surface",
        )  # fmt: skip
        gauge = Gauge("penstock_requests_in_flight", "Requests inside this process.", registry=registry)
        gauge.set_function(lambda: 3)
        told = (
            "Dollars billed, by who asked and the feature that it was for; beyond 200 of both the feature is 'other'."
        )
        self.spend = counter("penstock_spend_usd_total", told, "tenant", "feature")
        self.token_time = histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Seconds that each token after the first took, of streamed answers that came whole from a model.",
            (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5), "model",
        )  # fmt: skip

    def observe(self, row, model):
        self.requests.labels(row.surface, model, row.outcome).inc()
        self.duration.labels(model, row.outcome).observe(row.duration_ms / 1e3)
        self.overhead.labels(row.surface).observe(row.overhead_ms / 1e3)
        if row.cache_status and (model or row.cache_status == "miss"):
            self.cache.labels(row.cache_status).inc()
        if row.saved_tokens:
            self.saved_tokens.labels(model).inc(row.saved_tokens)
            self.saved_cost.labels(model).inc(row.saved_nano_usd / 1e9)
        if row.compressed_tokens:
            self.compressed.labels(model).inc(row.compressed_tokens)
        if row.degraded:
            self.degraded.labels(model, row.degraded).inc()
        if row.time_to_first_token_ms is not None:
            self.first_token.labels(model).observe(row.time_to_first_token_ms / 1e3)
        self.spend.labels(row.tenant, row.feature).inc(row.cost_nano_usd / 1e9)
        if row.model and row.cache_status != "hit":
            self.tokens.labels(row.upstream, row.model, "input").inc(row.usage.input_tokens)
            self.tokens.labels(row.upstream, row.model, "output").inc(row.usage.output_tokens)
            self.cost.labels(row.upstream, row.model).inc(row.cost_nano_usd / 1e9)
            if row.outcome == "ok" and row.duration_ms > row.time_to_first_token_ms:
                each = (row.duration_ms - row.time_to_first_token_ms) / (row.usage.output_tokens - 1)
                self.token_time.labels(model).observe(each / 1e3)
            if row.unit_prices.is_unknown:
                self.unpriced.labels(row.upstream, row.model).inc()


def rows():
    """Yield rows of every kind, with durations on, between and beyond the bounds."""
    kinds = itertools.product(("openai", "grpc"), ("ok", "cancelled"), ("", "hit", "miss", "bypass"), ("", "m1"))
    milliseconds = itertools.cycle([0.0, 0.1, 10.0, 12.5, 80, 640.0, 81_920.0, 1e6])
    for surface, outcome, cache_status, model in kinds:
        yield LedgerRow(
            generation_id="g", request_id="r", created_at=NOW, tenant="t", key_id="k", requested_model="fast",
            surface=surface, outcome=outcome, cache_status=cache_status, model=model, upstream=f"of {model}",
            usage=Usage(input_tokens=7, output_tokens=4), cost_nano_usd=123_456_789,
            unit_prices=UnitPrices(is_unknown=surface == "grpc"),
            duration_ms=next(milliseconds), overhead_ms=next(milliseconds),
            time_to_first_token_ms=next(milliseconds) if model else None, degraded="stale" if model else "",
            saved_tokens=11 if cache_status == "hit" else 0, saved_nano_usd=5_000 if cache_status == "hit" else 0,
            compressed_tokens=9 if surface == "grpc" else 0,
        )  # fmt: skip


def test_scrape_after_the_same_requests_is_what_it_always_was():
    ours, before = CollectorRegistry(), CollectorRegistry()
    metrics, instruments = Metrics(ours, lambda: 3), Instruments(before)
    for public_model, row in itertools.product(("", "fast"), rows()):
        metrics.observe(row, public_model)
        instruments.observe(row, public_model)
    texts = [re.sub(rb"(_created\{.*\}) .*", rb"\1", generate_latest(registry)) for registry in (ours, before)]
    assert texts[0] == texts[1]
    assert texts[0].count(b"_created{") > 20


def test_dollars_of_what_no_answer_came_of_are_told_as_well():
    """A request that failed after its upstreams were asked is billed, and names none of them."""
    registry = CollectorRegistry()
    failed = msgspec.structs.replace(next(rows()), upstream="", model="", outcome="upstream_timeout", feature="search")
    Metrics(registry, lambda: 0).observe(failed, "fast")
    labels = {"tenant": failed.tenant, "feature": "search"}
    assert registry.get_sample_value("penstock_spend_usd_total", labels) == failed.cost_nano_usd / 1e9


def test_dollars_are_told_by_tenant_and_feature_of_which_there_are_only_so_many():
    registry = CollectorRegistry()
    spend = SpendMetrics(registry)
    for number in range(MOST_FEATURES + 5):
        spend.add(("shop", f"f{number}"), 0.5)
    for labels in (("shop", "f0"), ("new", ""), ("new", "of a late tenant")):
        spend.add(labels, 0.25)

    def dollars(tenant, feature):
        return registry.get_sample_value("penstock_spend_usd_total", {"tenant": tenant, "feature": feature})

    assert (dollars("shop", "f0"), dollars("shop", f"f{MOST_FEATURES - 1}")) == (0.75, 0.5)
    assert (dollars("shop", f"f{MOST_FEATURES}"), dollars("shop", "other")) == (None, 2.5)
    # A tenant is an operator's word, and is always told.
    assert (dollars("new", ""), dollars("new", "other")) == (0.25, 0.25)


def test_answers_of_the_best_model_are_estimated_where_they_are_answers_and_their_cost_is_known():
    registry = CollectorRegistry()
    metrics = Metrics(registry, lambda: 0)
    best = UnitPrices(input_nano_usd=10_000_000_000, output_nano_usd=40_000_000_000)
    for row in rows():
        metrics.routing.observe(row, "auto", best)
    # Of gRPC's nobody knows the price, those with a model stood in for another, and a quarter was kept.
    answers = 3
    assert registry.get_sample_value("penstock_routing_best_usd_total", {"model": "auto"}) == pytest.approx(
        answers * (7 * 10 + 4 * 40) / 1e6
    )
    assert registry.get_sample_value("penstock_routing_usd_total", {"model": "auto"}) == pytest.approx(
        answers * 0.123456789
    )


def test_searches_and_what_became_of_passages_are_counted():
    registry = CollectorRegistry()
    metrics = Metrics(registry, lambda: 0)
    for signals in (
        RetrievalSignals("search", "low"),
        RetrievalSignals("chat", "found", cited=2, unused=3, citations=5, unknown_citations=1),
        RetrievalSignals("chat", "found", cited=1, unused=1, citations=1),
    ):
        metrics.retrieval.observe(signals)

    def value(name, **labels):
        return registry.get_sample_value(f"penstock_retrieval_{name}_total", labels)

    assert value("searches", use="search", outcome="low") == 1
    assert value("searches", use="chat", outcome="found") == 2
    assert (value("passages", cited="yes"), value("passages", cited="no")) == (3, 4)
    assert (value("citations", of="passage"), value("citations", of="none")) == (6, 1)

"""Ended requests as metrics, spans and log lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock_common.errors import InternalError, NoHealthyUpstream, PenstockError, UpstreamFailed, UpstreamTimeout
from penstock_common.llm.types import UnitPrices, cost_nano_usd
from penstock_common.telemetry import semconv
from penstock_common.telemetry.gaps import LONGEST_SILENCE, Gap, longest_gap
from penstock_common.telemetry.metrics import Count, Counters, Histograms
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_common.telemetry.spans import Spans, open_spans
from penstock_gateway.adapters.request_spans import span_of
from penstock_gateway.adapters.spend_metrics import SpendMetrics
from penstock_gateway.domain.guardrails.pipeline.told import FAILED, Told
from penstock_gateway.domain.knowledge_use.signals import RetrievalSignals
from penstock_gateway.domain.life.exchange import EndedExchange
from penstock_gateway.domain.life.settlement import CANCELLED, OK, LedgerRow, outcome_of
from penstock_gateway.domain.status.traffic import TrafficWindow

# A request whose own overhead is above this is worth a look, sampled or not.
_SLOW_OVERHEAD_MS = 250.0
# So is an answer that stops for so long in its middle.
_LONG_GAP_SECONDS = 2.0
_NANO = 1e9
_MAX_KNOWN = 4096
_FAULTS = (InternalError, NoHealthyUpstream, UpstreamFailed, UpstreamTimeout)

_log = structlog.get_logger(__name__)


class Metrics:
    """The gateway's instruments. Labels are bounded: no key, user or request ever becomes one."""

    def __init__(self, registry: CollectorRegistry, in_flight: Callable[[], int]) -> None:
        self.requests = Counters(
            registry, semconv.METRIC_REQUESTS, "Requests that ended.", ("surface", "model", "outcome")
        )
        self.tokens = Counters(registry, semconv.METRIC_TOKENS, "Tokens billed.", ("upstream", "model", "type"))
        self.cost = Counters(registry, semconv.METRIC_COST, "Dollars billed.", ("upstream", "model"))
        self.unpriced = Counters(
            registry,
            semconv.METRIC_UNPRICED_ANSWERS,
            "Answers of which nobody knows what they cost: no price is configured, and the datasheet has none.",
            ("upstream", "model"),
        )
        self.cache = Counters(registry, semconv.METRIC_CACHE, "What the cache did.", ("result",))
        self.saved, self.gaps = _Saved(registry), _gaps(registry)
        self.routing, self.retrieval, self.guardrails = _Routing(registry), _Retrieval(registry), _Guardrails(registry)
        told = "Answers that stood in for a model's own."
        self.degraded = Counters(registry, semconv.METRIC_DEGRADED, told, ("model", "step"))
        self.duration = Histograms(
            registry,
            semconv.METRIC_REQUEST_DURATION,
            "Seconds from arrival to settlement.",
            ("model", "outcome"),
            semconv.REQUEST_DURATION_BUCKETS,
        )
        self.first_token = _first_token(registry)
        self.overhead = Histograms(
            registry,
            semconv.METRIC_OVERHEAD,
            "Seconds of a request not spent waiting for upstreams.",
            ("surface",),
            semconv.OVERHEAD_BUCKETS,
        )
        self._known: dict[tuple[str, ...], _Counts] = {}
        told = "Requests inside this process."
        Gauge(semconv.METRIC_REQUESTS_IN_FLIGHT, told, registry=registry).set_function(in_flight)
        self.spend, self.token_time = SpendMetrics(registry), _token_time(registry)

    def observe(self, row: LedgerRow, model: str) -> None:
        """Count one ended request; ``model`` is empty unless it is known to be one: callers choose the name."""
        alike = row.surface, model, row.outcome, row.cache_status, row.upstream, row.model
        counts = self._known.get(alike)
        if counts is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            counts = self._known[alike] = _Counts(self, row, model)
        counts.requests.value += 1
        if counts.cache is not None:
            counts.cache.value += 1
        if counts.billed is not None:
            self._bill(counts.billed, row, model)
        if row.cost_nano_usd:
            # Whether an answer came of it or not, and from whomever.
            self.spend.add((row.tenant, row.feature), row.cost_nano_usd / _NANO)
        self.duration.observe((model, row.outcome), row.duration_ms / 1e3)
        self.overhead.observe((row.surface,), row.overhead_ms / 1e3)
        if row.time_to_first_token_ms is not None:
            self.first_token.observe((model,), row.time_to_first_token_ms / 1e3)
        if row.saved_tokens:
            self.saved.tokens.add((model,), row.saved_tokens)
            self.saved.cost.add((model,), row.saved_nano_usd / _NANO)
        if row.compressed_tokens:
            self.saved.context.add((model,), row.compressed_tokens)
        if row.degraded:
            self.degraded.add((model, row.degraded))

    def _bill(self, billed: tuple[Count, Count, Count], row: LedgerRow, model: str) -> None:
        input_tokens, output_tokens, cost = billed
        input_tokens.value += row.usage.input_tokens
        output_tokens.value += row.usage.output_tokens
        cost.value += row.cost_nano_usd / _NANO
        tokens, first_ms = row.usage.output_tokens, row.time_to_first_token_ms
        if first_ms is not None and tokens > 1 and row.outcome == OK and row.duration_ms > first_ms:
            self.token_time.observe((model,), (row.duration_ms - first_ms) / (tokens - 1) / 1e3)
        if row.unit_prices.is_unknown:
            self.unpriced.add((row.upstream, row.model))

    def exemplify(self, row: LedgerRow, model: str, trace_id: str) -> None:
        """Name the trace of a request that ``observe`` has counted, where its values are shown."""
        self.duration.exemplify((model, row.outcome), row.duration_ms / 1e3, trace_id)
        self.overhead.exemplify((row.surface,), row.overhead_ms / 1e3, trace_id)
        if row.time_to_first_token_ms is not None:
            self.first_token.exemplify((model,), row.time_to_first_token_ms / 1e3, trace_id)


class _Counts:
    """What a request is counted by, and all that are like it; ``cache`` and ``billed`` are None where nothing is counted."""

    __slots__ = ("billed", "cache", "requests")

    def __init__(self, metrics: Metrics, row: LedgerRow, model: str) -> None:
        upstream, status = (row.upstream, row.model), row.cache_status
        self.requests = metrics.requests.of((row.surface, model, row.outcome))
        # Others were refused before anybody thought of the cache.
        self.cache = metrics.cache.of((status,)) if status and (model or status == "miss") else None
        self.billed = None
        if row.model and row.upstream and status != "hit":
            tokens = metrics.tokens
            self.billed = tokens.of((*upstream, "input")), tokens.of((*upstream, "output")), metrics.cost.of(upstream)


def _gaps(registry: CollectorRegistry) -> Histograms:
    told = "The longest silence within a streamed answer, and where it came from: upstream, reader or recovery."
    return Histograms(registry, semconv.METRIC_LONGEST_GAP, told, ("model", "came_from"), semconv.LONGEST_GAP_BUCKETS)


def _first_token(registry: CollectorRegistry) -> Histograms:
    name, buckets = semconv.METRIC_TIME_TO_FIRST_TOKEN, semconv.TIME_TO_FIRST_TOKEN_BUCKETS
    return Histograms(registry, name, "Seconds from arrival to the first token.", ("model",), buckets)


def _token_time(registry: CollectorRegistry) -> Histograms:
    name, buckets = semconv.METRIC_TIME_PER_OUTPUT_TOKEN, semconv.TIME_PER_OUTPUT_TOKEN_BUCKETS
    told = "Seconds that each token after the first took, of streamed answers that came whole from a model."
    return Histograms(registry, name, told, ("model",), buckets)


class _Saved:
    """What nobody was asked for: what answers have cost that were given again, and context that was left out."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Tokens of answers that were given again."
        self.tokens = Counters(registry, semconv.METRIC_SAVED_TOKENS, told, ("model",))
        told = "Dollars that answers have cost which were given again."
        self.cost = Counters(registry, semconv.METRIC_SAVED_COST, told, ("model",))
        told = "Tokens of context that compression has left out."
        self.context = Counters(registry, semconv.METRIC_COMPRESSED_TOKENS, told, ("model",))


class _Routing:
    """What routing saves: what answers would have cost at the best model, and what the same answers have cost."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Dollars that answers of models with routes would have cost at the best one behind: an estimate, by their tokens."
        self._best = Counters(registry, semconv.METRIC_ROUTING_BEST, told, ("model",))
        told = "Dollars billed for the answers in penstock_routing_best_usd_total."
        self._cost = Counters(registry, semconv.METRIC_ROUTING_COST, told, ("model",))

    def observe(self, row: LedgerRow, model: str, best: UnitPrices) -> None:
        """Count an answer, where the model's own was made and its cost is known."""
        if row.outcome == OK and row.cache_status != "hit" and not row.degraded and not row.unit_prices.is_unknown:
            self._best.add((model,), cost_nano_usd(row.usage, best) / _NANO)
            self._cost.add((model,), row.cost_nano_usd / _NANO)


class _Guardrails:
    """What rules say, by rule; names are those that the configuration gives."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told, labels = "Findings of guardrails.", ("rule", "action", "surface", "shadow")
        self._verdicts = Counters(registry, semconv.METRIC_GUARDRAIL_VERDICTS, told, labels)
        told = "Looks of guardrails that failed or were late."
        self._failures = Counters(registry, semconv.METRIC_GUARDRAIL_FAILURES, told, ("rule", "surface", "shadow"))
        told = "Seconds that a guardrail has looked at the texts of one request on one surface."
        buckets = semconv.GUARDRAIL_BUCKETS
        self._seconds = Histograms(registry, semconv.METRIC_GUARDRAIL_SECONDS, told, ("rule", "surface"), buckets)

    def observe(self, said: Sequence[Told]) -> None:
        """Count what rules have said of one request."""
        for told in said:
            shadow = "yes" if told.shadow else "no"
            if told.action == FAILED:
                self._failures.add((told.rule, told.surface, shadow), told.count)
                continue
            if told.count:
                self._verdicts.add((told.rule, told.action, told.surface, shadow), told.count)
            if told.looks:
                self._seconds.observe((told.rule, told.surface), told.seconds)


class _Retrieval:
    """How well documents are found: searches by how they went, and passages by what became of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Searches of documents; low: nothing that was found seems to have to do with the question."
        self._searches = Counters(registry, semconv.METRIC_RETRIEVAL_SEARCHES, told, ("use", "outcome"))
        told = "Passages that models were given, by whether the answer cites them."
        self._passages = Counters(registry, semconv.METRIC_RETRIEVAL_PASSAGES, told, ("cited",))
        told = "Citations in answers: of a passage, or of none that the model was given."
        self._citations = Counters(registry, semconv.METRIC_RETRIEVAL_CITATIONS, told, ("of",))

    def observe(self, signals: RetrievalSignals) -> None:
        """Count a search, and what an answer made of it."""
        self._searches.add((signals.use, signals.outcome))
        for cited, passages in (("yes", signals.cited), ("no", signals.unused)):
            if passages:
                self._passages.add((cited,), passages)
        for of, citations in (("passage", signals.citations), ("none", signals.unknown_citations)):
            if citations:
                self._citations.add((of,), citations)


def show_ledger(registry: CollectorRegistry, waiting: Callable[[], int]) -> None:
    """Let the registry show how many rows the ledger has not yet committed."""
    gauge = Gauge(semconv.METRIC_LEDGER_WAITING, "Ledger rows that wait for the database.", registry=registry)
    gauge.set_function(waiting)


def show_drift(registry: CollectorRegistry, by_scope: Callable[[], Mapping[str, int]]) -> None:
    """Let the registry show how far counters of spend were from the ledger at the last look, by kind of scope."""
    registry.register(_Drift(by_scope))


class _Drift(Collector):
    def __init__(self, by_scope: Callable[[], Mapping[str, int]]) -> None:
        self._by_scope = by_scope

    def collect(self) -> Iterable[Metric]:
        about = "The most that a counter of spend is apart from the ledger, in nano-dollars."
        family = GaugeMetricFamily(semconv.METRIC_LEDGER_DRIFT, about, labels=["scope"])
        for scope, nano_usd in self._by_scope().items():
            family.add_metric([scope], nano_usd)
        yield family


@asynccontextmanager
async def exporting_spans(otlp: str, service_name: str, version: str) -> AsyncGenerator[Spans, None]:
    """Yield an emitter that exports to ``otlp`` (empty: nowhere).

    A collector that is away makes the last flush last for seconds; it happens beside the loop.
    """
    spans = open_spans(otlp, service_name, version)
    emitter = spans.__enter__()
    try:
        yield emitter
    finally:
        await asyncio.to_thread(spans.__exit__, None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Who reports, and to whom."""

    service: str
    version: str
    otlp: str
    metrics_listen: str
    capture_content: bool


@asynccontextmanager
async def observing(
    registry: CollectorRegistry, traffic: TrafficWindow, in_flight: Callable[[], int], telemetry: Telemetry
) -> AsyncGenerator[TelemetryObserver, None]:
    """Yield an observer whose metrics are served and whose spans are exported while the context is open."""
    metrics = Metrics(registry, in_flight)
    async with (
        serving_metrics(registry, telemetry.metrics_listen),
        exporting_spans(telemetry.otlp, telemetry.service, telemetry.version) as spans,
    ):
        yield TelemetryObserver(metrics, traffic, spans, capture_content=telemetry.capture_content)


class TelemetryObserver:
    """Implements ``exchange.Observer``."""

    def __init__(self, metrics: Metrics, traffic: TrafficWindow, spans: Spans, *, capture_content: bool) -> None:
        self._metrics = metrics
        self._traffic = traffic
        self._spans = spans
        self._capture_content = capture_content

    def ended(self, exchange: EndedExchange) -> None:
        """Count it, log it where it failed through no fault of the caller, trace it where it is worth that."""
        row, error = exchange.row, exchange.error
        self._metrics.observe(row, exchange.public_model)
        if exchange.decision is not None and exchange.decision.best_prices is not None:
            self._metrics.routing.observe(row, exchange.public_model, exchange.decision.best_prices)
        if exchange.retrieval is not None:
            self._metrics.retrieval.observe(exchange.retrieval)
        gap = None
        for step in exchange.steps:
            # Looked at before it is called: most answers come in one piece, at the first attempt.
            if step.children[1:] or (step.children and LONGEST_SILENCE in step.children[0].attributes):
                gap = longest_gap(step.children) or gap
        if gap is not None:
            self._metrics.gaps.observe((exchange.public_model, gap.came_from.value), gap.seconds)
        if exchange.guardrails:
            self._metrics.guardrails.observe(exchange.guardrails)
        is_fault = error is not None and row.outcome != CANCELLED and _is_fault(error)
        self._traffic.note(row, exchange.steps, is_fault=is_fault)
        if is_fault:
            _warn("request_failed", exchange, reason=str(error))
        if row.degraded:
            _warn("request_degraded", exchange, step=row.degraded)
        is_slow = row.overhead_ms > _SLOW_OVERHEAD_MS or (gap is not None and gap.seconds > _LONG_GAP_SECONDS)
        if self._spans.is_on and (exchange.call.trace.sampled or is_fault or is_slow or row.degraded):
            self._emit(exchange, gap)

    def turned_away(self, surface: str, error: BaseException) -> None:
        """Count a request whose caller was never known."""
        self._metrics.requests.add((surface, "", outcome_of(error)))

    def _emit(self, exchange: EndedExchange, gap: Gap | None) -> None:
        root, attributes = span_of(exchange, gap, capture_content=self._capture_content)
        self._spans.emit(exchange.call.trace, root, attributes)
        self._metrics.exemplify(exchange.row, exchange.public_model, exchange.call.trace.trace_id_hex)
        if gap is not None:
            labels = (exchange.public_model, gap.came_from.value)
            self._metrics.gaps.exemplify(labels, gap.seconds, exchange.call.trace.trace_id_hex)


def _warn(event: str, exchange: EndedExchange, **more: str) -> None:
    """Log with the request's ids: by now nobody's request is being served here any more."""
    row, trace_id = exchange.row, exchange.call.trace.trace_id_hex
    ids = {"request_id": row.request_id, "trace_id": trace_id}
    _log.warning(event, outcome=row.outcome, model=row.requested_model, **ids, **more)


def _is_fault(error: BaseException) -> bool:
    return isinstance(error, _FAULTS) or not isinstance(error, PenstockError)

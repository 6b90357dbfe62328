"""The headers that tell of an answer, ready to be sent: lines that end in CR LF, alike in every format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from penstock_common.llm.types import NANO_USD_PER_USD, Decision, Degradation
from penstock_common.priority import Priority
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.told import HEADER as GUARDRAILS_HEADER
from penstock_gateway.domain.life.chat import ChatExchange
from penstock_gateway.domain.life.embeddings import EmbeddingExchange
from penstock_gateway.domain.life.exchange import Exchange
from penstock_gateway.domain.life.questions import ModerationExchange, RerankExchange
from penstock_gateway.domain.life.retrieval import Grounds
from penstock_gateway.domain.life.settlement import Part
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.prompts.content import PromptReference
from penstock_gateway.surfaces.arrival import (
    BUDGET_HEADER,
    EXPERIMENT_HEADER,
    KNOWLEDGE_HEADER,
    degradation_headers,
    dropped_names,
    limit_headers,
)
from penstock_gateway.surfaces.http1.lines import printable

JSON_LINE = b"content-type: application/json\r\n"


def request_id_line(request_id: str) -> bytes:
    """Return the line that names the request."""
    return f"x-request-id: {request_id}\r\n".encode()


def exchange_lines(exchange: ChatExchange) -> bytes:
    """Return what is known of a request for text so far; it may have been refused."""
    started, cache, prompt = exchange.progress.started, exchange.cache_outcome, exchange.call.order.prompt
    return (
        f"x-request-id: {exchange.call.order.request_id}\r\n"
        f"x-penstock-cache: {printable(str(cache)) if cache.tier or cache.reason else cache.status}\r\n"
        f"{_limit_lines(exchange.standings, exchange.shadowed) if exchange.standings else ''}"
        f"{_degraded_lines(exchange) if exchange.degraded is not None else ''}"
        f"{_budget_line(exchange) if exchange.is_metered else ''}"
        f"{_answered_by_lines(started.answered_by.model, started.answered_by.upstream) if started else ''}"
        f"{_experiment_line(exchange.assigned.part) if exchange.assigned is not None else ''}"
        f"{_route_line(exchange.decision) if exchange.decision is not None else ''}"
        f"{_dropped_line(started.dropped) if started and started.dropped else ''}"
        f"{_prompt_line(prompt) if prompt is not None and prompt.is_found else ''}"
        f"{_compressed_line(exchange) if exchange.compressed is not None else ''}"
        f"{_schema_line(exchange) if exchange.checked is not None else ''}"
        f"{_knowledge_line(exchange.grounds) if exchange.grounds is not None else ''}"
        f"{_guardrails_line(exchange.guarding) if exchange.guarding is not None else ''}"
        f"{_priority_line(exchange) if exchange.call.order.priority is not Priority.DEFAULT else ''}"
    ).encode("latin-1", "replace")


def _schema_line(exchange: ChatExchange) -> str:
    told = str(exchange.checked)
    return f"x-penstock-schema: {told}\r\n" if told else ""


def bill_lines(cost_nano_usd: int | None, overhead_ms: float) -> bytes:
    """Return what a whole answer cost, in money (None: nobody knows) and in time."""
    cost = "unknown" if cost_nano_usd is None else format_cost_usd(cost_nano_usd)
    return f"x-penstock-cost-usd: {cost}\r\nx-penstock-overhead-ms: {overhead_ms:.2f}\r\n".encode()


def attempts_line(attempts: int) -> bytes:
    """Return how many attempts a whole answer took."""
    return b"x-penstock-attempts: %d\r\n" % attempts


def degraded_line(degradation: Degradation) -> bytes:
    """Return what stood in for an answer."""
    return b"x-penstock-degraded: %b\r\n" % degradation.value.encode()


def embedding_lines(exchange: EmbeddingExchange) -> bytes:
    """Return what is known of a request for vectors so far; it may have been refused."""
    rates = _limit_lines(exchange.standings, exchange.shadowed)
    lines = f"x-request-id: {exchange.call.order.request_id}\r\n{rates}"
    embedded = exchange.embedded
    if embedded is None:
        return lines.encode()
    lines += _answered_by_lines(embedded.model, embedded.upstream)
    told = bill_lines(exchange.bill.known_cost_nano_usd, exchange.overhead_ms)
    if embedded.attempts > 1:
        told += attempts_line(embedded.attempts)
    return lines.encode("latin-1", "replace") + told


def exchange_limit_lines(exchange: Exchange[Any]) -> bytes:
    """Return where the limits of a request stand."""
    return _limit_lines(exchange.standings, exchange.shadowed).encode("latin-1", "replace")


def question_lines(exchange: RerankExchange | ModerationExchange) -> bytes:
    """Return what is known of a question so far; it may have been refused."""
    lines = f"x-request-id: {exchange.call.order.request_id}\r\n".encode() + exchange_limit_lines(exchange)
    answered = exchange.answered
    if answered is None:
        return lines
    by = _answered_by_lines(answered.answered_by.model, answered.answered_by.upstream)
    lines += by.encode("latin-1", "replace") + bill_lines(exchange.bill.known_cost_nano_usd, exchange.overhead_ms)
    return lines + attempts_line(answered.attempts) if answered.attempts > 1 else lines


def format_cost_usd(cost_nano_usd: int) -> str:
    """Return nano-dollars as exact decimal dollars, such as ``0.000012``, never in exponent form."""
    dollars, rest = divmod(cost_nano_usd, NANO_USD_PER_USD)
    return f"{dollars}.{rest:09d}".rstrip("0").removesuffix(".")


def _priority_line(exchange: ChatExchange) -> str:
    return f"x-penstock-priority: {exchange.call.order.priority.word}\r\n"


def _prompt_line(prompt: PromptReference) -> str:
    # A name that was found; what was only asked for may be any text.
    return f"x-penstock-prompt: {printable(prompt.shown)}\r\n"


def _experiment_line(part: Part) -> str:
    return f"{EXPERIMENT_HEADER}: {part}\r\n"


def _guardrails_line(guarding: Guarding) -> str:
    told = guarding.tally.line()
    return f"{GUARDRAILS_HEADER}: {printable(told)}\r\n" if told else ""


def _compressed_line(exchange: ChatExchange) -> str:
    return f"x-penstock-compressed: {exchange.compressed}\r\n"


def _knowledge_line(grounds: Grounds) -> str:
    return f"{KNOWLEDGE_HEADER}: {printable(str(grounds.retrieved))}\r\n"


def _dropped_line(names: tuple[str, ...]) -> str:
    return f"x-penstock-dropped: {dropped_names(names)}\r\n"


def _route_line(decision: Decision) -> str:
    return f"x-penstock-route: {printable(str(decision))}\r\n"


def _degraded_lines(exchange: ChatExchange) -> str:
    degradation = exchange.degraded
    assert degradation is not None, "asked for what it is"
    return "".join([f"{name}: {value}\r\n" for name, value in degradation_headers(degradation, exchange.age_seconds)])


def _budget_line(exchange: ChatExchange) -> str:
    told = exchange.budget_told
    return f"{BUDGET_HEADER}: {told}\r\n" if told else ""


def _limit_lines(standings: Sequence[Standing], shadowed: Sequence[Standing]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in limit_headers(standings, shadowed)])


@lru_cache(maxsize=1024)
def _answered_by_lines(model: str, upstream: str) -> str:
    # Nobody has given what is a text of the operator's.
    by = f"x-penstock-upstream: {printable(upstream)}\r\n" if upstream else ""
    return f"x-penstock-model: {printable(model)}\r\n{by}"

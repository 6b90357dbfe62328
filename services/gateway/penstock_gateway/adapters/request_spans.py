"""An ended request as spans: what the conventions for generative AI say of it, and what is ours to say.

The names are those of ``semconv``. What is not known has no attribute. Nothing here runs for a request without spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from penstock_common.llm.types import SamplingParams
from penstock_common.telemetry import semconv
from penstock_common.telemetry.gaps import Gap
from penstock_common.telemetry.steps import ATTEMPT, AttributeValue, Step
from penstock_gateway.domain.life.exchange import EndedExchange
from penstock_gateway.domain.life.order import ChatOrder, EmbeddingOrder
from penstock_gateway.domain.life.settlement import CANCELLED, OK, LedgerRow

Attributes: TypeAlias = dict[str, AttributeValue | Sequence[str]]

_SEARCH = "search"
_OF_SAMPLING = {
    "max_output_tokens": semconv.REQUEST_MAX_TOKENS,
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "top_k": semconv.REQUEST_TOP_K,
    "seed": semconv.REQUEST_SEED,
    "frequency_penalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": semconv.REQUEST_PRESENCE_PENALTY,
}


def span_of(exchange: EndedExchange, gap: Gap | None, *, capture_content: bool) -> tuple[Step, Attributes]:
    """Return the root of a request's spans, all steps below it, and the root's attributes; prompts only if asked for."""
    call, order, row = exchange.call, exchange.call.order, exchange.row
    operation = row.operation
    if isinstance(order, ChatOrder | EmbeddingOrder):
        operation = semconv.CHAT if isinstance(order, ChatOrder) else semconv.EMBEDDINGS
    steps = [_told(step, operation) for step in exchange.steps]
    failed = "" if row.outcome in (OK, CANCELLED) else row.outcome
    name = f"{operation} {order.input.model}"
    root = Step(name, call.started_ns, exchange.ended_ns, failed, children=steps)
    attributes: Attributes = {
        semconv.OPERATION_NAME: semconv.RETRIEVAL if operation == _SEARCH else operation,
        semconv.PROVIDER_NAME: _provider(steps, row),
        semconv.DATA_SOURCE_ID if operation == _SEARCH else semconv.REQUEST_MODEL: order.input.model,
        semconv.RESPONSE_ID: order.generation_id,
        semconv.INPUT_TOKENS: row.usage.input_tokens,
        semconv.OUTPUT_TOKENS: row.usage.output_tokens,
        semconv.REQUEST_ID: order.request_id,
        semconv.TENANT: row.tenant,
        semconv.SURFACE: row.surface,
        semconv.OVERHEAD_MS: row.overhead_ms,
    }
    attributes |= _answer(row) | _rarely(row, gap)
    if isinstance(order, ChatOrder):
        attributes |= _asked(order)
        if capture_content:
            attributes[semconv.INPUT_MESSAGES] = msgspec.json.encode(order.input.messages).decode()
    return root, attributes


def _told(step: Step, operation: str) -> Step:
    """Return a step whose attempts say what the conventions ask of a client's span; steps are others' to read, too."""
    if not any(child.name == ATTEMPT for child in step.children):
        return step
    return msgspec.structs.replace(step, children=[_client(child, operation) for child in step.children])


def _client(step: Step, operation: str) -> Step:
    told = step.attributes
    if step.name != ATTEMPT:
        return step
    said: dict[str, AttributeValue] = {semconv.OPERATION_NAME: operation}
    if provider := str(told.get("provider", "")):
        said[semconv.PROVIDER_NAME] = semconv.PROVIDERS.get(provider, provider)
    if "model" in told:
        said[semconv.REQUEST_MODEL] = told["model"]
    return msgspec.structs.replace(step, attributes={**told, **said})


def _provider(steps: Sequence[Step], row: LedgerRow) -> str:
    """Return whom the answer came from; of one that failed, who was asked last."""
    attempts = [child for step in steps for child in step.children if semconv.PROVIDER_NAME in child.attributes]
    answered = [attempt for attempt in attempts if attempt.attributes.get("upstream") == row.upstream]
    last = (answered or attempts)[-1:]
    return str(last[0].attributes[semconv.PROVIDER_NAME]) if last else semconv.OWN_PROVIDER


def _asked(order: ChatOrder) -> Attributes:
    sampling: SamplingParams = order.input.sampling
    asked: Attributes = {} if order.whole else {semconv.REQUEST_STREAM: True}
    for field, name in _OF_SAMPLING.items():
        if (value := getattr(sampling, field)) is not None:
            asked[name] = value
    if (sampling.choices or 1) != 1:
        asked[semconv.REQUEST_CHOICE_COUNT] = sampling.choices or 1
    if sampling.stop:
        asked[semconv.REQUEST_STOP_SEQUENCES] = list(sampling.stop)
    if order.input.response_format is not None:
        asked[semconv.OUTPUT_TYPE] = semconv.JSON_OUTPUT
    return asked


def _answer(row: LedgerRow) -> Attributes:
    usage = row.usage
    said: Attributes = {
        semconv.RESPONSE_MODEL: row.model,
        semconv.UPSTREAM: row.upstream,
        semconv.CACHE: row.cache_status,
        semconv.CACHE_READ_INPUT_TOKENS: usage.cached_input_tokens,
        semconv.CACHE_CREATION_INPUT_TOKENS: usage.cache_write_input_tokens,
        semconv.REASONING_OUTPUT_TOKENS: usage.reasoning_tokens,
        semconv.RESPONSE_FINISH_REASONS: [row.finish_reason] if row.finish_reason else [],
    }
    told: Attributes = {name: value for name, value in said.items() if value}
    if row.time_to_first_token_ms is not None:
        told[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = row.time_to_first_token_ms / 1e3
    return told


def _rarely(row: LedgerRow, gap: Gap | None) -> Attributes:
    """Return the attributes that few requests have."""
    attributes: Attributes = {}
    if not row.unit_prices.is_unknown:
        attributes[semconv.COST_NANO_USD] = row.cost_nano_usd
    if row.degraded:
        attributes[semconv.DEGRADED] = row.degraded
    if gap is not None:
        attributes |= {
            semconv.LONGEST_GAP_MS: round(gap.seconds * 1e3, 1),
            semconv.LONGEST_GAP_FROM: gap.came_from.value,
        }
    if row.prompt_version:
        attributes[semconv.PROMPT] = f"{row.prompt}@{row.prompt_version}"
    if row.part.experiment:
        attributes |= {semconv.EXPERIMENT: row.part.experiment, semconv.VARIANT: row.part.variant}
    return attributes

"""Buckets of what was used, and of what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.usage.calendar import turns
from penstock_gateway.domain.usage.lines import Line, Sums
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.domain.usage.query import CHAT, EMBEDDINGS, Dimension, Filter, Group, Query
from penstock_gateway.surfaces.wire_formats.openai.organization.query import (
    GROUPS,
    BucketQuery,
    Endpoint,
    Limits,
    read_query,
)
from penstock_gateway.surfaces.wire_formats.openai.organization.wire import (
    Amount,
    Bucket,
    CompletionsResult,
    CostsResult,
    EmbeddingsResult,
    Result,
    UsagePage,
)

_NANO = 1_000_000_000
_PAGE_LINES = 500
_USAGE_WIDTHS = {"1m": Limits(60, 1440), "1h": Limits(24, 168), "1d": Limits(7, 31)}
_USAGE = Endpoint(
    groups=frozenset({"project_id", "user_id", "api_key_id", "model"}),
    filters=frozenset({"project_ids", "user_ids", "api_key_ids", "models"}),
    widths=_USAGE_WIDTHS,
)
_COSTS = Endpoint(
    groups=frozenset({"project_id", "user_id", "api_key_id", "line_item"}),
    filters=frozenset({"project_ids", "user_ids", "api_key_ids", "line_items"}),
    widths={"1d": Limits(7, 180)},
)
Names = Mapping[str, Any]
Told = Callable[[Sums, Names], Result]


async def completions(reading: UsageReading, actor: Actor, query: str) -> bytes:
    """Return the page of buckets of what chats used."""
    return await _page(reading, actor, read_query(query, _USAGE), _completions_told, CHAT)


async def embeddings(reading: UsageReading, actor: Actor, query: str) -> bytes:
    """Return the page of buckets of what embeddings used."""
    return await _page(reading, actor, read_query(query, _USAGE), _embeddings_told, EMBEDDINGS)


async def costs(reading: UsageReading, actor: Actor, query: str) -> bytes:
    """Return the page of buckets of what everything cost."""
    return await _page(reading, actor, read_query(query, _COSTS), _costs_told)


async def _page(reading: UsageReading, actor: Actor, asked: BucketQuery, told: Told, operation: str = "") -> bytes:
    until = asked.until or max(datetime.now(UTC), asked.since)
    # One more begins the next page.
    starts = turns(asked.step, "UTC", asked.since, _latest(asked, until))[: asked.limit + 1]
    shown, more = starts[: asked.limit], starts[asked.limit :]
    end = more[0] if more else until
    results = await _results(reading, actor, asked, (shown, end), operation) if shown else {}
    ends = (*shown[1:], end)
    buckets = [
        Bucket(
            start_time=int(start.timestamp()),
            end_time=int(after.timestamp()),
            results=[told(line.sums, _names(line, asked.groups)) for line in results.get(start, ())],
        )
        for start, after in zip(shown, ends, strict=True)
    ]
    following = f"page_{int(more[0].timestamp())}" if more else None
    return msgspec.json.encode(UsagePage(data=buckets, has_more=bool(more), next_page=following))


def _latest(asked: BucketQuery, until: datetime) -> datetime:
    """Return the end of what can be on the page, however long ago it begins."""
    seconds = {"minute": 60, "hour": 3600, "day": 86_400}[asked.step]
    return min(until, datetime.fromtimestamp(asked.since.timestamp() + (asked.limit + 1) * seconds, UTC))


async def _results(
    reading: UsageReading,
    actor: Actor,
    asked: BucketQuery,
    span: tuple[tuple[datetime, ...], datetime],
    operation: str,
) -> Mapping[datetime, list[Line]]:
    shown, end = span
    where = {**asked.where, Dimension.OPERATION: (operation,)} if operation else asked.where
    by = tuple([Group(GROUPS[name]) for name in asked.groups])
    wanted = Filter(where=where, since=max(asked.since, shown[0]), until=end)
    query, found, token = Query(filter=wanted, by=by, step=asked.step), dict[datetime, list[Line]](), ""
    while True:
        report = await reading.query(actor, query, Page.of(_PAGE_LINES, token))
        for line in report.lines:
            found.setdefault(report.starts[line.turn], []).append(line)
        token = report.next_token
        if not token:
            return found


def _names(line: Line, groups: tuple[str, ...]) -> dict[str, str | None]:
    """Return what a line is about; null stands for what has no name, as for what was not asked by."""
    return {name: value or None for name, value in zip(groups, line.names, strict=True)}


def _completions_told(sums: Sums, names: Names) -> CompletionsResult:
    uncached = sums.input_tokens - sums.cached_input_tokens - sums.cache_write_input_tokens
    return CompletionsResult(
        input_tokens=sums.input_tokens,
        input_cached_tokens=sums.cached_input_tokens,
        input_cache_write_tokens=sums.cache_write_input_tokens,
        input_uncached_tokens=max(0, uncached),
        output_tokens=sums.output_tokens,
        num_model_requests=sums.requests,
        **names,
    )


def _embeddings_told(sums: Sums, names: Names) -> EmbeddingsResult:
    return EmbeddingsResult(input_tokens=sums.input_tokens, num_model_requests=sums.requests, **names)


def _costs_told(sums: Sums, names: Names) -> CostsResult:
    return CostsResult(amount=Amount(value=sums.cost_nano_usd / _NANO), **names)

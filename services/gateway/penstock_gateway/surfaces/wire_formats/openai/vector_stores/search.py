"""Searches of a vector store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from penstock_common.contract import knowledge_calls
from penstock_common.contract.knowledge import Hit, SearchMode, SearchOptions
from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE
from penstock_gateway.surfaces.wire_formats.format import StoresAnswer, StoresCall
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import store_in, tenant_of, told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.filters import read_filter
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.render import hit_told

MAX_QUERIES = 8
MAX_QUERY_CHARACTERS = 4096
_MAX_RESULTS = 50
_DEFAULT_RESULTS = 10
_BODY = msgspec.json.Decoder(wire.SearchBody)
_CHOICES = {"ranking_options.ranker": "'none', 'auto' or 'default-2024-11-15'"}
_MODES: dict[str | None, SearchMode] = {
    None: "hybrid",
    "none": "hybrid",
    "auto": "hybrid_rerank",
    "default-2024-11-15": "hybrid_rerank",
}
_encode = msgspec.json.Encoder().encode


class Search(NamedTuple):
    """What is looked for, and how."""

    queries: Sequence[str]
    options: SearchOptions


class Found(NamedTuple):
    """What was found, and what did not take part in it."""

    page: wire.SearchPage
    degraded: Sequence[str]


def parse_search(body: bytes) -> Search:
    """Return what is looked for.

    Raises:
        InvalidRequest, UnsupportedParameter: if that cannot be had.
    """
    read_members(body)
    asked = read_object(_BODY, body, _CHOICES)
    if asked.rewrite_query:
        raise UnsupportedParameter(
            "'rewrite_query' is not supported; leave it out, or set it to false.", parameter="rewrite_query"
        )
    ranking = asked.ranking_options or wire.RankingOptions()
    return Search(
        _queries(asked.query),
        SearchOptions(
            mode=_MODES[ranking.ranker],
            limit=_limit(asked.max_num_results),
            filter=read_filter(asked.filters),
            min_score=_threshold(ranking.score_threshold),
        ),
    )


async def search(stores: Stores, call: StoresCall) -> StoresAnswer:
    """Return what a key may find, the best first; of several queries what each finds, by its best score."""
    found = await told(_found, stores, call)
    assert isinstance(found, Found), "what it returns"
    degraded = f"x-penstock-degraded: {', '.join(found.degraded)}\r\n".encode() if found.degraded else b""
    return StoresAnswer(_encode(found.page), JSON_LINE + degraded)


async def _found(stores: Stores, call: StoresCall) -> Found:
    asked: Search = call.body
    store, labels = store_in(call), sorted(call.caller.labels)
    searches = [
        stores.knowledge.search(
            knowledge_calls.SearchRequest(
                tenant=tenant_of(call), bases=[store], query=query, labels=labels, options=asked.options
            )
        )
        for query in asked.queries
    ]
    results = [answer.result for answer in await asyncio.gather(*searches)]
    best = merged((hit for result in results for hit in result.hits), asked.options.limit)
    return Found(
        wire.SearchPage(search_query=list(asked.queries), data=[hit_told(hit) for hit in best]),
        sorted({part for result in results for part in result.degraded}),
    )


def merged(hits: Iterable[Hit], limit: int) -> list[Hit]:
    """Return each chunk once, by its best score, the best first, ties by id."""
    best: dict[str, Hit] = {}
    for hit in hits:
        known = best.get(hit.chunk.id)
        if known is None or hit.score > known.score:
            best[hit.chunk.id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.chunk.id))[:limit]


def _queries(given: str | list[str]) -> tuple[str, ...]:
    queries = (given,) if isinstance(given, str) else tuple(given)
    if not 0 < len(queries) <= MAX_QUERIES:
        raise InvalidRequest(f"'query' must have 1 to {MAX_QUERIES} texts, not {len(queries)}.", field="query")
    for number, query in enumerate(queries):
        if not 0 < len(query.strip()) <= len(query) <= MAX_QUERY_CHARACTERS:
            field = "query" if isinstance(given, str) else f"query[{number}]"
            raise InvalidRequest(f"'{field}' must have 1 to {MAX_QUERY_CHARACTERS} characters.", field=field)
    return queries


def _limit(given: int | None) -> int:
    if given is None:
        return _DEFAULT_RESULTS
    if not 1 <= given <= _MAX_RESULTS:
        raise InvalidRequest(f"'max_num_results' must be 1 to {_MAX_RESULTS}, but is {given}.", field="max_num_results")
    return given


def _threshold(given: float | None) -> float:
    if given is None:
        return 0.0
    if not 0 <= given <= 1:
        field = "ranking_options.score_threshold"
        raise InvalidRequest(f"'{field}' must be 0 to 1, but is {given}.", field=field)
    return given

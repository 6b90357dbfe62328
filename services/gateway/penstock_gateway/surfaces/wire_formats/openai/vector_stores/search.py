"""Searches of a vector store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock_common.contract.knowledge import SearchMode, SearchOptions, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.keeping import StoresCall
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import store_in, tenant_of
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


def requests_of(call: StoresCall) -> list[SearchRequest]:
    """Return the searches, under the tenant and the labels of their caller's key.

    Raises:
        ResourceNotFound: if nothing could have the store's id.
    """
    asked: Search = call.body
    store, labels = store_in(call), sorted(call.caller.labels)
    return [
        SearchRequest(tenant=tenant_of(call), bases=[store], query=query, labels=labels, options=asked.options)
        for query in asked.queries
    ]


def render_found(call: StoresCall, found: SearchResult) -> bytes:
    """Return the answer's body."""
    asked: Search = call.body
    return _encode(wire.SearchPage(search_query=list(asked.queries), data=[hit_told(hit) for hit in found.hits]))


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

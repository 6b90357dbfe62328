"""Serves requests about documents, in whatever format they come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.knowledge import SearchResult
from penstock_common.llm.types import RequestContext
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.search import SEARCHED, SearchExchange, SearchLife
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception, limit_headers
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, request_id_line
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.format import StoresFormat
from penstock_gateway.surfaces.wire_formats.keeping import StoresAction, StoresCall
from penstock_gateway.surfaces.wire_formats.refusals import refuse
from penstock_gateway.surfaces.wire_formats.routes import Serve

_WHOLE = CallOptions(stream=False)
_NAME = re.compile(r"\{(\w+)\}")


class StoresParts(NamedTuple):
    """What documents are kept in, and what searches them."""

    stores: Stores
    searches: SearchLife


class StoresServer:
    """Serves one format: for each of its actions what reads the request, does it, and answers."""

    def __init__(self, wire_format: StoresFormat, parts: StoresParts, reception: Reception, bodies: Bodies) -> None:
        self._format = wire_format
        self._parts = parts
        self._reception = reception
        self._bodies = bodies

    def routes(self) -> Iterator[tuple[str, str, Serve]]:
        """Yield each method and path, and what serves it."""
        for route, action in self._format.actions.items():
            method, _, path = route.partition(" ")
            yield method, path, self._serving(path, action)
        yield "POST", self._format.search.path, self.serve_search

    async def serve_search(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve a search; what fails it once it has begun is told here."""
        search = self._format.search
        body: Any = await self._bodies.read(request, place, search.parse)
        call = _call(place, request, search.path, body)
        requests = search.requests(call)
        asked = EmbedRequest(tuple([one.query for one in requests]), SEARCHED)
        order = self._reception.embedding_call(arrival, place, asked, RequestContext(), _WHOLE)
        exchange = self._parts.searches.begin(order, requests)
        try:
            async with exchange:
                found = await exchange.search()
            lines = JSON_LINE + _head_of(exchange) + _degraded_line(found)
            response.whole(200, lines, search.render(call, found))
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            refuse(response, self._format.family, self._format.in_its_words(error, call), _head_of(exchange))

    def _serving(self, path: str, action: StoresAction) -> Serve:
        async def serve(arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
            call = _call(place, request, path, await self._read(request, place, action))
            try:
                answer = await action.run(self._parts.stores, call)
            except Exception as error:  # noqa: BLE001 - whatever it is is told in the format's words
                failure = self._format.in_its_words(error, call)
            else:
                response.whole(200, answer.lines + request_id_line(arrival.request_id), answer.body)
                return
            raise failure

        return serve

    async def _read(self, request: HttpRequest, place: Place, action: StoresAction) -> Any:
        if action.parse is not None:
            return await self._bodies.read(request, place, action.parse)
        return None


def _call(place: Place, request: HttpRequest, path: str, body: Any) -> StoresCall:
    return StoresCall(caller=place.caller, names=names_in(request, path), query=query_of(request), body=body)


def names_in(request: HttpRequest, path: str) -> dict[str, str]:
    """Return the names that the path of a request has where ``path`` has braces."""
    match = re.fullmatch(_NAME.sub(r"(?P<\1>[^/]+)", path), request.path)
    return {} if match is None else match.groupdict()


def query_of(request: HttpRequest) -> str:
    """Return the query of a request."""
    return request.target.partition(b"#")[0].partition(b"?")[2].decode("ascii", "replace")


def _head_of(exchange: SearchExchange) -> bytes:
    rates = "".join([f"{name}: {value}\r\n" for name, value in limit_headers(exchange.standings, exchange.shadowed)])
    return request_id_line(exchange.call.order.request_id) + rates.encode()


def _degraded_line(found: SearchResult) -> bytes:
    return f"x-penstock-degraded: {', '.join(found.degraded)}\r\n".encode() if found.degraded else b""

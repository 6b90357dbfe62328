"""Serves requests about files and batches, in whatever format they come: what is large passes by in pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from penstock_common.errors import UnsupportedParameter
from penstock_gateway.domain.idempotency.keys import KEY_HEADER
from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import request_id_line
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.format import KeptFormat
from penstock_gateway.surfaces.wire_formats.keeping import KeptAction, KeptCall, KeptParts, StoresAnswer, StreamedAnswer
from penstock_gateway.surfaces.wire_formats.refusals import id_lines
from penstock_gateway.surfaces.wire_formats.routes import Serve
from penstock_gateway.surfaces.wire_formats.stores import names_in, query_of

_FORM_BYTES = 64 * 1024
"""Of a form, around the file."""


class KeptServer:
    """Serves one format: for each of its actions what reads the request, does it, and answers."""

    def __init__(self, wire_format: KeptFormat, parts: KeptParts, bodies: Bodies) -> None:
        self._format = wire_format
        self._parts = parts
        self._bodies = bodies

    def routes(self, once: Callable[[Serve], Serve]) -> Iterator[tuple[str, str, Serve]]:
        """Yield each method and path, and what serves it: ``once`` under an idempotency key, but for uploads, which pass by."""
        for route, action in self._format.actions.items():
            method, _, path = route.partition(" ")
            serve = self._serving(path, action)
            yield method, path, serve if method == "GET" or action.takes_form else once(serve)

    def _serving(self, path: str, action: KeptAction) -> Serve:
        async def serve(arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
            call = KeptCall(
                caller=place.caller,
                names=names_in(request, path),
                query=query_of(request),
                body=await self._body(request, place, action),
                headers=arrival.headers,
                request_id=arrival.request_id,
                traceparent=arrival.trace.traceparent,
            )
            answer = await action.run(self._parts, call)
            named = request_id_line(arrival.request_id) + id_lines(self._format.family, arrival.request_id)
            if isinstance(answer, StoresAnswer):
                response.whole(200, answer.lines + named, answer.body)
            else:
                await _stream(answer, answer.lines + named, response)

        return serve

    async def _body(self, request: HttpRequest, place: Place, action: KeptAction) -> Any:
        if action.takes_form:
            if KEY_HEADER in request.headers:
                text = "An upload takes no Idempotency-Key: it passes by, and is not compared to another. Leave it out."
                raise UnsupportedParameter(text, parameter="Idempotency-Key")
            return _Form(request, place, self._parts.desk.terms.max_file_bytes + _FORM_BYTES)
        if action.takes_stream:
            return _Form(request, place, self._parts.desk.terms.max_file_bytes)
        return None if action.parse is None else await self._bodies.read(request, place, action.parse)


class _Form:
    """Implements ``FormBody``."""

    def __init__(self, request: HttpRequest, place: Place, most_bytes: int) -> None:
        self.content_type = request.headers.get("content-type", "")
        self._request = request
        self._place = place
        self._most = most_bytes

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the form's bytes; see the port."""
        if "content-encoding" in self._request.headers:
            # Undone whole, within the bound of other bodies.
            yield await self._request.body(self._place)
            return
        async with aclosing(self._request.pieces(self._most)) as pieces:
            async for piece in pieces:
                yield piece

    def hold(self, size_bytes: int) -> None:
        """Say how much is kept in memory; see the port."""
        self._place.hold(size_bytes)


async def _stream(answer: StreamedAnswer, lines: bytes, response: HttpResponse) -> None:
    response.begin(200, lines, answer.length)
    try:
        async with aclosing(answer.pieces) as pieces:
            async for piece in pieces:
                await response.write(piece)
    except Exception:
        # It is shorter than it says: nobody is to take it for whole.
        response.cut()
        raise
    response.end()

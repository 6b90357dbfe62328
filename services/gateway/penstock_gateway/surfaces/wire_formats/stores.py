"""Serves requests about documents, in whatever format they come."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import request_id_line
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.format import StoresAction, StoresCall, StoresFormat
from penstock_gateway.surfaces.wire_formats.routes import Serve


class StoresServer:
    """Serves one format: for each of its actions what reads the request, does it, and answers."""

    def __init__(self, wire_format: StoresFormat, stores: Stores, bodies: Bodies) -> None:
        self._format = wire_format
        self._stores = stores
        self._bodies = bodies

    def routes(self) -> Iterator[tuple[str, str, Serve]]:
        """Yield each method and path, and what serves it."""
        for route, action in self._format.actions.items():
            method, _, path = route.partition(" ")
            yield method, path, self._serving(path, action)

    def _serving(self, path: str, action: StoresAction) -> Serve:
        names = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        async def serve(arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
            match = names.fullmatch(request.path)
            call = StoresCall(
                caller=place.caller,
                names={} if match is None else match.groupdict(),
                query=_query_in(request.target),
                body=await self._read(request, place, action),
            )
            answer = await action.run(self._stores, call)
            response.whole(200, answer.lines + request_id_line(arrival.request_id), answer.body)

        return serve

    async def _read(self, request: HttpRequest, place: Place, action: StoresAction) -> object:
        if action.parse is not None:
            return await self._bodies.read(request, place, action.parse)
        if action.parse_form is not None:
            return await self._bodies.read_form(request, place, action.parse_form)
        return None


def _query_in(target: bytes) -> str:
    return target.partition(b"#")[0].partition(b"?")[2].decode("ascii", "replace")

"""Serves requests for what was used, in whatever format they come."""

from __future__ import annotations

from collections.abc import Iterator

from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.surfaces.arrival import Arrival, Reception
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, request_id_line
from penstock_gateway.surfaces.wire_formats.format import UsageAction, UsageFormat
from penstock_gateway.surfaces.wire_formats.routes import Serve


class UsageServer:
    """Serves one format."""

    def __init__(self, wire_format: UsageFormat, reading: UsageReading, reception: Reception) -> None:
        self._format = wire_format
        self._reading = reading
        self._reception = reception

    def routes(self) -> Iterator[tuple[str, Serve]]:
        """Yield each path, and what serves it."""
        for path, action in self._format.actions.items():
            yield path, self._serving(action)

    def _serving(self, action: UsageAction) -> Serve:
        async def serve(arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
            actor = Actor.of(place.caller, self._reception.address_of(arrival), arrival.request_id)
            query = request.target.partition(b"#")[0].partition(b"?")[2].decode("ascii", "replace")
            body = await action(self._reading, actor, query)
            response.whole(200, JSON_LINE + request_id_line(arrival.request_id), body)

        return serve

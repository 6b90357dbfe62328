"""Serves requests that ask how many tokens a request has, in whatever format they come."""

from __future__ import annotations

from penstock_common.llm.estimate import estimated_input_tokens
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, request_id_line
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.format import CountingFormat


class CountingServer:
    """Serves one format. What is told is an estimate, the same as bills are made of where a provider tells nothing."""

    def __init__(self, wire_format: CountingFormat, models: ModelDirectory, bodies: Bodies) -> None:
        self._format = wire_format
        self._models = models
        self._bodies = bodies

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; nothing is asked of anybody, so nothing is billed."""
        asked = await self._bodies.read(request, place, self._format.parse)
        await self._models.find(place.caller, asked.model)
        body = self._format.render(estimated_input_tokens(asked))
        response.whole(200, JSON_LINE + request_id_line(arrival.request_id), body)

"""Serves requests that ask how many tokens a request has, with all that it goes on from."""

from __future__ import annotations

import msgspec

from penstock_common.llm.estimate import estimated_input_tokens
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, request_id_line
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.format import GenerationFormat
from penstock_gateway.surfaces.wire_formats.stateful import StatefulRequests


class StatefulCounting:
    """Serves one format. What is told is an estimate, the same as bills are made of where a provider tells nothing."""

    def __init__(
        self, wire_format: GenerationFormat, stateful: StatefulRequests, models: ModelDirectory, bodies: Bodies
    ) -> None:
        assert wire_format.state is not None, "a format whose answers can be kept"
        self._format = wire_format
        self._state = wire_format.state
        self._stateful = stateful
        self._models = models
        self._bodies = bodies

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; nothing is asked of anybody, so nothing is billed, nor kept."""
        read = await self._bodies.read(request, place, self._format.parse)
        if read.kept is not None:
            looked = msgspec.structs.replace(read.kept, store=False, background=False)
            begun = await self._stateful.begun(place, msgspec.structs.replace(read, kept=looked))
            read = begun.read
        await self._models.find(place.caller, read.input.model)
        body = self._state.counted(estimated_input_tokens(read.input))
        response.whole(200, JSON_LINE + request_id_line(arrival.request_id), body)

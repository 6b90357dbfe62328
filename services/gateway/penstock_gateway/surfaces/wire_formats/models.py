"""Serves requests for the models that a caller may name, in whatever format they come."""

from __future__ import annotations

from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, request_id_line
from penstock_gateway.surfaces.wire_formats.format import ModelsFormat


class ModelsServer:
    """Serves one format. ``created`` is what models report as their creation, in Unix seconds."""

    def __init__(self, wire_format: ModelsFormat, models: ModelDirectory, created: int) -> None:
        self._format = wire_format
        self._models = models
        self._created = created

    async def serve_list(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve the list."""
        models = await self._models.visible_to(place.caller)
        _send(response, arrival, self._spoken(arrival).render_list(models, self._created))

    async def serve_one(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one, by its name in the path."""
        name = request.path.removeprefix(f"{self._format.path}/")
        model = await self._models.find(place.caller, name)
        _send(response, arrival, self._spoken(arrival).render_one(model, self._created))

    def _spoken(self, arrival: Arrival) -> ModelsFormat:
        """Return the format that a request wants to be answered in."""
        others = self._format.others
        return next((others[name] for name in others if name in arrival.headers), self._format)


def _send(response: HttpResponse, arrival: Arrival, body: bytes) -> None:
    response.whole(200, JSON_LINE + request_id_line(arrival.request_id), body)

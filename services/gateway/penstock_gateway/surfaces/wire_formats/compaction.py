"""Turns away requests that want a conversation made shorter by its provider, and says what to do in their place.

What such a request has done is known to the provider alone: it passes none of the limits, guardrails and keeping of answers
that a conversation has here.
"""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.json_body import read_object

_NOT_HERE = (
    "Conversations are not made shorter by a request of their own here. Ask '{path}' with 'context_management', which models of "
    "OpenAI's Responses take, or have the client sum up what was said."
)


class _Compaction(msgspec.Struct):
    model: str | None = None


_DECODER = msgspec.json.Decoder(_Compaction)


class CompactionServer:
    """Refuses them, once it is known that the key may ask for the model."""

    def __init__(self, path: str, models: ModelDirectory, bodies: Bodies) -> None:
        """Begin; ``path`` is where conversations are answered."""
        self._path = path
        self._models = models
        self._bodies = bodies

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Refuse one request; nobody is asked, so nothing is billed.

        Raises:
            InvalidRequest: if it names no model.
            ModelNotFound: if the model does not exist, or the caller may not use it.
            ResourceNotFound: else.
        """
        del arrival, response
        model = await self._bodies.read(request, place, _model_of)
        await self._models.find(place.caller, model)
        raise ResourceNotFound(_NOT_HERE.format(path=self._path), kind="interface", name=f"{self._path}/compact")


def _model_of(body: bytes) -> str:
    model = read_object(_DECODER, body).model
    if not model:
        raise InvalidRequest("'model' is required, but it is missing or empty.", field="model")
    return model

"""Serves requests for vectors, in whatever format they come."""

from __future__ import annotations

from penstock_gateway.domain.idempotency.keys import KEY_HEADER
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.embeddings import EmbeddingLife
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception
from penstock_gateway.surfaces.deferring import LIMITED_HEADER, PREFER_HEADER
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, embedding_lines
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.deferred import DeferringParts
from penstock_gateway.surfaces.wire_formats.deferred_embedding import DeferredEmbedding
from penstock_gateway.surfaces.wire_formats.format import EmbeddingFormat
from penstock_gateway.surfaces.wire_formats.refusals import refuse

_WHOLE = CallOptions(stream=False)


class EmbeddingServer:
    """Serves one format."""

    def __init__(
        self,
        wire_format: EmbeddingFormat,
        reception: Reception,
        life: EmbeddingLife,
        bodies: Bodies,
        deferring: DeferringParts,
    ) -> None:
        self._format = wire_format
        self._reception = reception
        self._life = life
        self._bodies = bodies
        self._deferred = DeferredEmbedding(wire_format, reception, bodies, deferring)

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; what fails it once it has begun is told here."""
        head = arrival.headers
        if (KEY_HEADER in head or PREFER_HEADER in head or LIMITED_HEADER in head) and await self._deferred.serve(
            arrival, place, request, response
        ):
            return
        read = await self._bodies.read(request, place, self._format.parse)
        call = self._reception.embedding_call(arrival, place, read.input, read.context, _WHOLE)
        exchange = self._life.begin(call)
        try:
            async with exchange:
                embedded = await exchange.embed()
            body = read.render(embedded)
            response.whole(200, JSON_LINE + embedding_lines(exchange), body)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            if LIMITED_HEADER not in head or not await self._deferred.queue_refused(error, exchange, arrival, response):
                refuse(response, self._format.family, error, embedding_lines(exchange))

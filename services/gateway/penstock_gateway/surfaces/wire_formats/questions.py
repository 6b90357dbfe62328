"""Serves questions that are no conversation, in whatever format they come."""

from __future__ import annotations

from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.order import ModerationOrder, RerankOrder
from penstock_gateway.domain.life.questions import QuestionLife
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, question_lines
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.format import ModerationFormat, RerankFormat
from penstock_gateway.surfaces.wire_formats.refusals import refuse

_WHOLE = CallOptions(stream=False)


class RerankServer:
    """Serves one format."""

    def __init__(self, wire_format: RerankFormat, reception: Reception, life: QuestionLife, bodies: Bodies) -> None:
        self._format = wire_format
        self._reception = reception
        self._life = life
        self._bodies = bodies

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; what fails it once it has begun is told here."""
        read = await self._bodies.read(request, place, self._format.parse)
        asked = read.input, read.context
        exchange = self._life.rerank(self._reception.call_of(RerankOrder, arrival, place, asked, _WHOLE))
        try:
            async with exchange:
                answer = await exchange.ask()
            body = read.render(answer, exchange.call.order.generation_id)
            response.whole(200, JSON_LINE + question_lines(exchange), body)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            refuse(response, self._format.family, error, question_lines(exchange))


class ModerationServer:
    """Serves one format."""

    def __init__(self, wire_format: ModerationFormat, reception: Reception, life: QuestionLife, bodies: Bodies) -> None:
        self._format = wire_format
        self._reception = reception
        self._life = life
        self._bodies = bodies

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; what fails it once it has begun is told here."""
        read = await self._bodies.read(request, place, self._format.parse)
        asked = read.input, read.context
        exchange = self._life.moderate(self._reception.call_of(ModerationOrder, arrival, place, asked, _WHOLE))
        try:
            async with exchange:
                answer = await exchange.ask()
            body = self._format.render(answer, exchange.call.order.generation_id)
            response.whole(200, JSON_LINE + question_lines(exchange), body)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            refuse(response, self._format.family, error, question_lines(exchange))

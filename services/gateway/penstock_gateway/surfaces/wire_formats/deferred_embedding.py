"""Serves requests for vectors that are jobs: each is answered as any is, or as its first sending was."""

from __future__ import annotations

import asyncio

from penstock_gateway.domain.idempotency.repeats import Joined
from penstock_gateway.domain.jobs.results import EmbeddingResult
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.embeddings import EmbeddingExchange
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, embedding_lines, request_id_line
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.deferred import (
    Asked,
    Deferred,
    DeferringParts,
    came,
    overdue,
    replay_lines,
    tell_job,
    wanted_by,
)
from penstock_gateway.surfaces.wire_formats.format import EmbeddingFormat, ReadEmbeddingRequest
from penstock_gateway.surfaces.wire_formats.refusals import refuse

_WHOLE = CallOptions(stream=False)


class DeferredEmbedding(Deferred):
    """Serves one format."""

    def __init__(
        self, wire_format: EmbeddingFormat, reception: Reception, bodies: Bodies, parts: DeferringParts
    ) -> None:
        super().__init__(parts)
        self._format = wire_format
        self._reception = reception
        self._bodies = bodies

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> bool:
        """Serve one request, if it is a job from its beginning; return whether it is."""
        wanted = wanted_by(arrival)
        if not wanted.is_job:
            return False
        body = await request.body(place)
        request.put_back(body)
        read = await self._bodies.read(request, place, self._format.parse)
        call = self._reception.embedding_call(arrival, place, read.input, read.context, _WHOLE)
        asked = self.asked(call, arrival, request, body, wanted)
        if not await self.accepted(asked, response):
            async with self.joined(asked) as joined:
                await self._answer(arrival, (asked, read), joined, response)
        return True

    async def _answer(
        self, arrival: Arrival, said: tuple[Asked, ReadEmbeddingRequest], joined: Joined, response: HttpResponse
    ) -> None:
        """Answer once there are vectors, or with the job where that takes longer than the client waits."""
        (asked, read), answer, preference = said, joined.answer, said[0].wanted.preference
        if preference.is_async and not await came(answer.over(), preference.wait):
            tell_job(response, arrival.request_id, answer.job, preference)
            return
        try:
            async with asyncio.timeout(asked.call.order.timeout.total_seconds()):
                result = await answer.whole()
            assert isinstance(result, EmbeddingResult), "the result of a request for vectors"
            response.whole(200, JSON_LINE + _lines(arrival, joined), read.render(result.embedded))
        except TimeoutError:
            refuse(response, self._format.family, overdue(joined), _lines(arrival, joined))
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            if not (asked.wanted.queues and await self.queue(error, asked, response)):
                refuse(response, self._format.family, error, _lines(arrival, joined))


def _lines(arrival: Arrival, joined: Joined) -> bytes:
    exchange = joined.answer.exchange
    if not joined.is_original:
        return replay_lines(arrival, joined.answer)
    return embedding_lines(exchange) if isinstance(exchange, EmbeddingExchange) else request_id_line(arrival.request_id)

"""Serves requests for text, streamed or whole, in whatever format they come."""

from __future__ import annotations

import asyncio

from penstock_common.errors import DeadlineExceeded, Overloaded
from penstock_gateway.domain.idempotency.keys import KEY_HEADER
from penstock_gateway.domain.life.chat import ChatExchange, ChatLife
from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception
from penstock_gateway.surfaces.deferring import LIMITED_HEADER, PREFER_HEADER
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, attempts_line, bill_lines, exchange_lines
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.deferred import DeferringParts
from penstock_gateway.surfaces.wire_formats.deferred_generation import DeferredGeneration
from penstock_gateway.surfaces.wire_formats.event_stream import EventStream, Silences
from penstock_gateway.surfaces.wire_formats.format import (
    EventRenderer,
    GenerationFormat,
    ReadRequest,
    StreamRenderer,
    frames_of_failure,
)
from penstock_gateway.surfaces.wire_formats.refusals import id_lines, known, refuse
from penstock_gateway.surfaces.wire_formats.several import SHUTTING_DOWN, SeveralServer, summary_of
from penstock_gateway.surfaces.wire_formats.stateful import Keeping, StatefulRequest, StatefulRequests, Told

_STREAMED, _WHOLE = CallOptions(stream=True), CallOptions(stream=False)
_NS_PER_SECOND = 1_000_000_000


class GenerationServer:
    """Serves one format."""

    def __init__(
        self,
        wire_format: GenerationFormat,
        reception: Reception,
        answers: tuple[ChatLife, StatefulRequests | None],
        reading: tuple[Bodies, Silences],
        deferring: DeferringParts,
    ) -> None:
        """``answers``: what gives them, and what keeps them, if they can be; ``reading``: what reads requests, and fills silences."""
        (life, kept), (bodies, silences) = answers, reading
        self._format = wire_format
        self._reception = reception
        self._life = life
        self._bodies = bodies
        self._silences = silences
        self._kept = kept
        self._deferred = DeferredGeneration(wire_format, reception, (bodies, silences), deferring, kept)
        self._lines = exchange_lines if wire_format.family.request_id_line is None else self._lines_of_family
        self._several = SeveralServer(wire_format, reception, life, silences)

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; what fails it once it has begun is told here."""
        wire_format, head = self._format, arrival.headers
        if (KEY_HEADER in head or PREFER_HEADER in head or LIMITED_HEADER in head) and await self._deferred.serve(
            arrival, place, request, response
        ):
            return
        read = await self._bodies.read(request, place, wire_format.parse)
        if wire_format.with_headers is not None:
            read = wire_format.with_headers(read, arrival.headers)
        if read.more_inputs:
            await self._several.serve(arrival, place, read, response)
            return
        stateful: StatefulRequest | None = None
        if read.kept is not None:
            stateful = await self._stateful(arrival, place, (read, request), response)
            if response.is_complete:
                return
            read = read if stateful is None else stateful.read
        options = _STREAMED if read.stream else _WHOLE
        if read.prompt is not None or read.knowledge is not None:
            options = CallOptions(stream=read.stream, prompt=read.prompt, knowledge=read.knowledge)
        call = self._reception.chat_call(arrival, place, read.input, read.context, options)
        exchange = self._life.begin(call)
        known = call.order.generation_id, arrival.started_ns // _NS_PER_SECOND
        if read.stream:
            # Awaited from here: each coroutine between would be entered again with each of its pieces.
            await self._stream(exchange, self._renderer(known, read, stateful), arrival, response)
        else:
            await self._whole(exchange, (known, read, stateful), arrival, response)

    async def _stateful(
        self, arrival: Arrival, place: Place, asked: tuple[ReadRequest, HttpRequest], response: HttpResponse
    ) -> StatefulRequest | None:
        """Return a request with what it goes on from; one whose answer is made in the background is answered here."""
        (read, request), kept = asked, self._kept
        if kept is None or read.kept is None:
            return None
        stateful = await kept.begun(place, read)
        if read.kept.background:
            # Without a key, by which alone its body would be asked for: `DeferredGeneration` serves those.
            await kept.background.begin(arrival, place, (stateful, (request, b"")), response)
        return stateful

    def _renderer(self, known: tuple[str, int], read: ReadRequest, stateful: StatefulRequest | None) -> StreamRenderer:
        (name, created), wire_format = known, self._format
        if stateful is None:
            return wire_format.renderer(wire_format.id_prefix + name, created, read.include_usage, read.form)
        renderer = wire_format.renderer(stateful.id_of(name), created, read.include_usage, read.form)
        return Keeping(stateful, renderer, known, wire_format.whole)

    async def _whole(
        self,
        exchange: ChatExchange,
        asked: tuple[tuple[str, int], ReadRequest, StatefulRequest | None],
        arrival: Arrival,
        response: HttpResponse,
    ) -> None:
        ((name, created), read, stateful), wire_format = asked, self._format
        answer_id = wire_format.id_prefix + name if stateful is None else stateful.id_of(name)
        try:
            async with exchange:
                answer = await exchange.answer()
                body = wire_format.whole((answer,), answer_id, created, read.form)
                if (told := exchange.knowledge if exchange.grounds is not None else None) is not None:
                    body = wire_format.with_knowledge(body, told)
            if stateful is not None:
                await stateful.keep(name, created, Told(answer, body))
            # Settled first: who has the answer may ask again at once, and needs the place.
            finished = exchange.progress.finished
            cost_nano_usd = exchange.progress.known_cost_nano_usd
            lines = JSON_LINE + self._lines(exchange) + bill_lines(cost_nano_usd, exchange.overhead_ms)
            if finished is not None and finished.attempts > 1:
                lines += attempts_line(finished.attempts)
            response.whole(200, lines, body)
            await exchange.afterwards()
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            if LIMITED_HEADER not in arrival.headers or not await self._deferred.queue_refused(
                error, exchange, arrival, response
            ):
                refuse(response, wire_format.family, error, self._lines(exchange))

    def _lines_of_family(self, exchange: ChatExchange) -> bytes:
        """Return what is known of a request so far, its id where the vendor's SDK looks for it as well."""
        return exchange_lines(exchange) + id_lines(self._format.family, exchange.call.order.request_id)

    async def _stream(
        self, exchange: ChatExchange, renderer: StreamRenderer, arrival: Arrival, response: HttpResponse
    ) -> None:
        family = self._format.family
        silence = renderer.silence if isinstance(renderer, EventRenderer) else self._format.keep_alive
        stream = EventStream(response, lambda: self._lines(exchange), self._silences, silence)
        try:
            async with exchange:
                async for batch in exchange.batches():
                    await stream.write(renderer.render(batch))
            if isinstance(renderer, Keeping):
                # Before its end is told: who has that may go on from it at once.
                await renderer.keep()
            stream.end(renderer.end(summary_of(exchange)))
            await exchange.afterwards()
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            if isinstance(error, DeadlineExceeded) and not response.has_room:
                # It does not read: whatever it were told would wait with the rest, and the connection for it.
                response.cut()
            elif stream.begun and not response.is_complete:
                told = known(error)
                if isinstance(renderer, Keeping):
                    await renderer.keep_failed(told)
                stream.end(frames_of_failure(renderer, family, told))
            elif LIMITED_HEADER not in arrival.headers or not await self._deferred.queue_refused(
                error, exchange, arrival, response
            ):
                refuse(response, family, error, self._lines(exchange))
        except asyncio.CancelledError:
            if stream.begun and not response.is_complete:
                # To one that has not left: this process ends.
                stream.end(frames_of_failure(renderer, family, Overloaded(SHUTTING_DOWN)))
            raise
        finally:
            stream.stop()

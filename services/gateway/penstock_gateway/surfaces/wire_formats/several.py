"""Serves a request with several inputs: each is asked as a request of its own, and one answer is made of all.

One after another, as a tenant's places are few; the deadline is one for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

from penstock_common.errors import DeadlineExceeded, Overloaded
from penstock_common.llm.types import Batch, Degradation
from penstock_gateway.domain.life.chat import ChatExchange, ChatLife
from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception
from penstock_gateway.surfaces.http1.messages import HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, bill_lines, degraded_line, exchange_lines
from penstock_gateway.surfaces.wire_formats.event_stream import EventStream, Silences
from penstock_gateway.surfaces.wire_formats.format import GenerationFormat, ReadRequest, StreamRenderer, StreamSummary
from penstock_gateway.surfaces.wire_formats.refusals import known, refuse

SHUTTING_DOWN = "This server is shutting down. Try again."
_NS_PER_SECOND = 1_000_000_000


class SeveralServer:
    """Serves one format."""

    def __init__(self, wire_format: GenerationFormat, reception: Reception, life: ChatLife, silences: Silences) -> None:
        self._format = wire_format
        self._reception = reception
        self._life = life
        self._silences = silences

    async def serve(self, arrival: Arrival, place: Place, read: ReadRequest, response: HttpResponse) -> None:
        """Serve one request; what fails it once it has begun is told here."""
        exchanges = _Exchanges(self._reception, self._life, arrival, place, read)
        answer_id = self._format.id_prefix + exchanges.current.call.order.generation_id
        created = arrival.started_ns // _NS_PER_SECOND
        if read.stream:
            renderer = self._format.renderer(answer_id, created, read.include_usage, read.form)
            await self._stream(exchanges, renderer, response)
            return
        try:
            async with aclosing(exchanges.each()) as each:
                answers = [await exchange.answer() async for exchange in each]
            body = self._format.whole(answers, answer_id, created, read.form)
            lines = JSON_LINE + exchange_lines(exchanges.current)
            if exchanges.degraded is not None and exchanges.current.degraded is None:
                lines += degraded_line(exchanges.degraded)
            response.whole(200, lines + bill_lines(exchanges.cost_nano_usd, exchanges.overhead_ms), body)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            refuse(response, self._format.family, error, exchange_lines(exchanges.current))

    async def _stream(self, exchanges: _Exchanges, renderer: StreamRenderer, response: HttpResponse) -> None:
        family = self._format.family
        stream = EventStream(
            response, lambda: exchange_lines(exchanges.current), self._silences, self._format.keep_alive
        )
        try:
            async with aclosing(exchanges.batches()) as batches:
                async for batch in batches:
                    await stream.write(renderer.render(batch))
            stream.end(renderer.end(summary_of(exchanges.current)))
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            if stream.begun and not response.is_complete:
                stream.end(family.error_event(known(error)))
            else:
                refuse(response, family, error, exchange_lines(exchanges.current))
        except asyncio.CancelledError:
            if stream.begun and not response.is_complete:
                stream.end(family.error_event(Overloaded(SHUTTING_DOWN)))
            raise
        finally:
            stream.stop()


class _Exchanges:
    """The exchanges of one request; ``current`` is the one that runs, or ran last."""

    def __init__(self, reception: Reception, life: ChatLife, arrival: Arrival, place: Place, read: ReadRequest) -> None:
        self.degraded: Degradation | None = None
        """What stood in for the first answer that was not the model's own."""
        self.cost_nano_usd: int | None = 0
        """None once one of them has a price that nobody knows."""
        self.overhead_ms = 0.0
        self._reception = reception
        self._life = life
        self._arrival = arrival
        self._place = place
        self._read = read
        options = CallOptions(stream=read.stream, knowledge=read.knowledge)
        self.current = life.begin(reception.chat_call(arrival, place, read.input, read.context, options))
        self._deadline = time.monotonic() + self.current.call.order.timeout.total_seconds()

    async def each(self) -> AsyncGenerator[ChatExchange, None]:
        """Yield each exchange while it is entered.

        Raises:
            PenstockError: whatever fails one of them, or the deadline of all.
        """
        for place in range(1 + len(self._read.more_inputs)):
            if place:
                self.current = self._next(place - 1)
            async with self.current:
                yield self.current
            self.degraded = self.degraded or self.current.degraded
            cost = self.current.progress.known_cost_nano_usd
            self.cost_nano_usd = None if cost is None or self.cost_nano_usd is None else self.cost_nano_usd + cost
            self.overhead_ms += self.current.overhead_ms
            await self.current.afterwards()

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield the batches of all of them, as ``each`` yields the exchanges."""
        async with aclosing(self.each()) as each:
            async for exchange in each:
                async for batch in exchange.batches():
                    yield batch

    def _next(self, place: int) -> ChatExchange:
        seconds_left = self._deadline - time.monotonic()
        if seconds_left <= 0:
            raise DeadlineExceeded("The request's deadline passed.")
        read, arrival = self._read, self._arrival
        headers = {**arrival.headers, "x-request-id": arrival.request_id}
        # A trace and times of its own, under the request's name.
        again = self._reception.receive(arrival.surface, headers, arrival.peer)
        options = CallOptions(stream=read.stream, timeout=timedelta(seconds=seconds_left), knowledge=read.knowledge)
        # The one before has left its own.
        inside = self._reception.door.enter(self._place.caller)
        call = self._reception.chat_call(again, inside, read.more_inputs[place], read.context, options)
        return self._life.begin(call)


def summary_of(exchange: ChatExchange) -> StreamSummary:
    """Return what a stream's end tells of the exchange."""
    started = exchange.progress.started
    dropped = started.dropped if started is not None else ()
    return StreamSummary(
        overhead_ms=exchange.overhead_ms,
        cache=str(exchange.cache_outcome),
        dropped=dropped,
        knowledge=exchange.knowledge if exchange.grounds is not None else None,
    )

"""Serves requests for text that are jobs: each is answered as any is, or as its first sending was."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import NamedTuple

from penstock_common.errors import DeadlineExceeded, Overloaded, UnsupportedParameter
from penstock_gateway.domain.idempotency.following import JobAnswer
from penstock_gateway.domain.idempotency.repeats import Joined
from penstock_gateway.domain.jobs.results import ChatResult
from penstock_gateway.domain.life.chat import ChatExchange
from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import (
    JSON_LINE,
    attempts_line,
    bill_lines,
    exchange_lines,
    request_id_line,
)
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
from penstock_gateway.surfaces.wire_formats.event_stream import EventStream, Silences
from penstock_gateway.surfaces.wire_formats.format import (
    EventRenderer,
    GenerationFormat,
    ReadRequest,
    StreamRenderer,
    StreamSummary,
    frames_of_failure,
)
from penstock_gateway.surfaces.wire_formats.refusals import id_lines, known, refuse
from penstock_gateway.surfaces.wire_formats.several import SHUTTING_DOWN, summary_of
from penstock_gateway.surfaces.wire_formats.stateful import Keeping, StatefulRequest, StatefulRequests, Told


class Said(NamedTuple):
    """What a request says, and what it has to do with answers that are kept."""

    asked: Asked
    read: ReadRequest
    stateful: StatefulRequest | None


class DeferredGeneration(Deferred):
    """Serves one format."""

    def __init__(
        self,
        wire_format: GenerationFormat,
        reception: Reception,
        reading: tuple[Bodies, Silences],
        parts: DeferringParts,
        kept: StatefulRequests | None = None,
    ) -> None:
        super().__init__(parts)
        self._format = wire_format
        self._reception = reception
        self._bodies, self._silences = reading
        self._kept = kept

    async def serve(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> bool:
        """Serve one request, if it is a job from its beginning; return whether it is."""
        wanted, wire_format = wanted_by(arrival), self._format
        if not wanted.is_job:
            return False
        body = await request.body(place)
        request.put_back(body)
        read = await self._bodies.read(request, place, wire_format.parse)
        if wire_format.with_headers is not None:
            read = wire_format.with_headers(read, arrival.headers)
        if read.more_inputs:
            raise UnsupportedParameter(
                "Several prompts are answered at once and now alone: send one.", parameter="prompt"
            )
        stateful: StatefulRequest | None = None
        if read.kept is not None and self._kept is not None:
            stateful = await self._kept.begun(place, read)
            if read.kept.background:
                await self._kept.background.begin(arrival, place, (stateful, (request, body)), response)
                return True
            read = stateful.read
        options = CallOptions(stream=read.stream, prompt=read.prompt, knowledge=read.knowledge)
        call = self._reception.chat_call(arrival, place, read.input, read.context, options)
        asked = self.asked(call, arrival, request, body, wanted)
        if not await self.accepted(asked, response):
            async with self.joined(asked) as joined:
                await self._answer(arrival, Said(asked, read, stateful), joined, response)
        return True

    async def _answer(self, arrival: Arrival, said: Said, joined: Joined, response: HttpResponse) -> None:
        """Answer as soon as there is something, or with the job where that takes longer than the client waits."""
        (asked, read, _), answer, preference = said, joined.answer, said.asked.wanted.preference
        if preference.is_async and not await came(answer.begun() if read.stream else answer.over(), preference.wait):
            tell_job(response, arrival.request_id, answer.job, preference)
            return
        try:
            async with asyncio.timeout(asked.call.order.timeout.total_seconds()):
                if read.stream:
                    await self._stream(arrival, said, joined, response)
                else:
                    await self._whole(arrival, said, joined, response)
        except TimeoutError:
            if response.is_begun:
                raise
            refuse(response, self._format.family, overdue(joined), self._lines(arrival, joined))
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            if not (asked.wanted.queues and await self.queue(error, asked, response)):
                refuse(response, self._format.family, error, self._lines(arrival, joined))

    async def _whole(self, arrival: Arrival, said: Said, joined: Joined, response: HttpResponse) -> None:
        answer, wire_format, (_, read, stateful) = joined.answer, self._format, said
        result = await answer.whole()
        assert isinstance(result, ChatResult), "a chat's result"
        name, created = result.generation_id, _created(answer)
        body = wire_format.whole((result.answer,), self._id_of(name, stateful), created, read.form)
        if result.knowledge is not None:
            body = wire_format.with_knowledge(body, result.knowledge)
        if stateful is not None:
            # A repeat does so as well: whoever gave the answer may have died before.
            await stateful.keep(name, created, Told(result.answer, body))
        lines = JSON_LINE + self._lines(arrival, joined)
        finished = result.finished
        if joined.is_original and isinstance(answer.exchange, ChatExchange):
            lines += bill_lines(finished.known_cost_nano_usd if finished else 0, answer.exchange.overhead_ms)
        if finished is not None and finished.attempts > 1:
            lines += attempts_line(finished.attempts)
        response.whole(200, lines, body)

    async def _stream(self, arrival: Arrival, said: Said, joined: Joined, response: HttpResponse) -> None:
        family, following = self._format.family, _Following()
        silence = lambda: following.silence(self._format.keep_alive)  # noqa: E731 - for this stream alone
        stream = EventStream(response, lambda: self._lines(arrival, joined), self._silences, silence)
        try:
            await self._follow(joined, said, stream, following)
        except Exception as error:
            if isinstance(error, DeadlineExceeded) and not response.has_room:
                response.cut()
            elif stream.begun and not response.is_complete:
                stream.end(frames_of_failure(following.renderer, family, known(error)))
            else:
                raise
        except asyncio.CancelledError:
            if stream.begun and not response.is_complete:
                stream.end(frames_of_failure(following.renderer, family, Overloaded(SHUTTING_DOWN)))
            raise
        finally:
            stream.stop()

    async def _follow(self, joined: Joined, said: Said, stream: EventStream, following: _Following) -> None:
        """Send what comes of an answer, under the name that its first event tells."""
        renderer = None
        async with aclosing(joined.answer.events()) as batches:
            async for batch in batches:
                if renderer is None:
                    renderer = following.renderer = self._renderer(joined.answer, said)
                await stream.write(renderer.render(batch))
        assert renderer is not None, "an answer has events"
        if isinstance(renderer, Keeping):
            await renderer.keep()
        stream.end(renderer.end(_summary(joined)))

    def _renderer(self, answer: JobAnswer, said: Said) -> StreamRenderer:
        started, (_, read, stateful) = answer.started, said
        name, created = started.generation_id if started is not None else "", _created(answer)
        renderer = self._format.renderer(self._id_of(name, stateful), created, read.include_usage, read.form)
        return renderer if stateful is None else Keeping(stateful, renderer, (name, created), self._format.whole)

    def _id_of(self, name: str, stateful: StatefulRequest | None) -> str:
        return self._format.id_prefix + name if stateful is None else stateful.id_of(name)

    def _lines(self, arrival: Arrival, joined: Joined) -> bytes:
        answer, ids = joined.answer, id_lines(self._format.family, arrival.request_id)
        if not joined.is_original:
            return replay_lines(arrival, answer) + ids
        exchange = answer.exchange
        return (
            exchange_lines(exchange) if isinstance(exchange, ChatExchange) else request_id_line(arrival.request_id)
        ) + ids


class _Following:
    """A stream's renderer, once its first event has named it."""

    renderer: StreamRenderer | None = None

    def silence(self, keep_alive: bytes) -> bytes:
        """Return the frames that fill a silence."""
        return self.renderer.silence() if isinstance(self.renderer, EventRenderer) else keep_alive


def _created(answer: JobAnswer) -> int:
    return int(answer.job.created_at.timestamp())


def _summary(joined: Joined) -> StreamSummary:
    answer, exchange, result = joined.answer, joined.answer.exchange, joined.answer.result
    if joined.is_original and isinstance(exchange, ChatExchange):
        return summary_of(exchange)
    assert isinstance(result, ChatResult), "a chat's result"
    dropped = answer.started.dropped if answer.started is not None else ()
    return StreamSummary(overhead_ms=0.0, cache=str(result.cache), dropped=dropped, knowledge=result.knowledge)

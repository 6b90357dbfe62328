"""Answers that are made in the background, and streams of them: from their jobs' events, the same bytes for whoever reads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import NamedTuple

import msgspec

from penstock_common.errors import InvalidRequest, Overloaded, ResourceNotFound, ResourceState, UnsupportedParameter
from penstock_common.llm.types import Started
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.batches.desk import may_change
from penstock_gateway.domain.idempotency.keys import KEY_HEADER, Marks
from penstock_gateway.domain.idempotency.repeats import Repeats, submission_of
from penstock_gateway.domain.jobs.desk import JobDesk, Seen, Viewer
from penstock_gateway.domain.jobs.events import AttemptStarted, Generated, NumberedEvent
from penstock_gateway.domain.jobs.gate import Gate
from penstock_gateway.domain.jobs.job import Accepted, Job, JobState
from penstock_gateway.domain.jobs.orders import order_of
from penstock_gateway.domain.jobs.ports import JobStore
from penstock_gateway.domain.jobs.submission import Submission, Submitter
from penstock_gateway.domain.jobs.terms import JobTerms
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.responses.keeping import KIND, Responses, no_response
from penstock_gateway.domain.responses.response import Content, Response, Status
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception, replay_headers
from penstock_gateway.surfaces.http1.lines import header_lines
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, request_id_line
from penstock_gateway.surfaces.wire_formats.deferred import marked_by
from penstock_gateway.surfaces.wire_formats.ended_jobs import EndedJobs
from penstock_gateway.surfaces.wire_formats.event_stream import EventStream, Silences
from penstock_gateway.surfaces.wire_formats.format import EventRenderer, GenerationFormat, StreamSummary
from penstock_gateway.surfaces.wire_formats.refusals import known
from penstock_gateway.surfaces.wire_formats.several import SHUTTING_DOWN
from penstock_gateway.surfaces.wire_formats.sse import COMMENT
from penstock_gateway.surfaces.wire_formats.stateful_request import StatefulRequest

_EVENTS_AT_ONCE = 200
_FIRST = -1
"""Stands before the first event of a stream."""
_EVENT = b"event: "
_END_OF_FRAME = b"\n\n"


class BackgroundParts(NamedTuple):
    """What runs answers that nobody waits for. ``kept``: how long an answer is there for its repeats.

    ``cancel_wait``: how long a cancellation waits for whoever makes the answer.
    """

    submitter: Submitter
    repeats: Repeats
    gate: Gate
    marks: Marks
    jobs: JobStore
    desk: JobDesk
    kept: timedelta
    cancel_wait: timedelta


class Background:
    """Begins, streams and ends answers of one format."""

    def __init__(
        self,
        wire_format: GenerationFormat,
        reception: Reception,
        parts: BackgroundParts,
        kept: tuple[Responses, EndedJobs],
        silences: Silences,
    ) -> None:
        assert wire_format.state is not None, "a format whose answers can be kept"
        self._format = wire_format
        self._state = wire_format.state
        self._reception = reception
        self._parts = parts
        self._responses, self._ended = kept
        self._silences = silences

    async def begin(
        self,
        arrival: Arrival,
        place: Place,
        asked: tuple[StatefulRequest, tuple[HttpRequest, bytes]],
        response: HttpResponse,
    ) -> None:
        """Answer with what an answer is while it waits: streamed, as it comes, where its request wants that.

        ``asked``: what its request goes on from, and the request with its body, by which a repeat is known.
        """
        stateful, sent = asked
        read, caller = stateful.read, place.caller
        if read.more_inputs:
            raise UnsupportedParameter("'background' takes one input.", parameter="background")
        options = CallOptions(stream=read.stream, prompt=read.prompt, knowledge=read.knowledge)
        call = self._reception.chat_call(arrival, place, read.input, read.context, options)
        submission = submission_of(caller, call.order, call.trace.traceparent, self._parts.kept)
        submission = msgspec.structs.replace(submission, terms=JobTerms(priority=call.order.priority))
        await self._parts.gate.check(caller, call.order, self._parts.submitter.deadline_of(submission.terms))
        accepted = await self._accepted(call, submission, arrival, sent)
        kept = await self._kept(stateful, accepted)
        lines = request_id_line(arrival.request_id)
        if not accepted.is_new:
            told = replay_headers(accepted.job.request_id)
            lines += header_lines([(name.encode(), value.encode()) for name, value in told])
        if read.stream:
            await self.stream(caller, kept, _FIRST, lines, response)
        else:
            settled = await self._ended.settled(kept)
            response.whole(200, JSON_LINE + lines, settled.content.body)

    async def stream(self, caller: Caller, kept: Response, after: int, lines: bytes, response: HttpResponse) -> None:
        """Send the events of an answer that follow the one of a number, until it ends.

        Raises:
            ResourceState: if it has no events, or not any more.
            InvalidRequest: if another attempt has begun it anew, so that numbers mean others now.
        """
        if not kept.streams:
            text = "Only a response that was created with 'background' and 'stream' can be streamed: get it without 'stream'."
            raise ResourceState(text, kind=KIND, name=kept.id)
        course = await self._course(kept)
        if course.is_anew and after > _FIRST:
            text = "The response was begun anew since: stream it from its beginning, without 'starting_after'."
            raise InvalidRequest(text, field="starting_after")
        form, created = self._ended.form_of(kept), int(kept.created_at.timestamp())
        renderer = self._format.renderer(kept.id, created, True, form)
        assert isinstance(renderer, EventRenderer), "what is kept is rendered as events"
        # What fills a silence is no event here: others read the same stream, and their silences are others.
        stream = EventStream(response, lambda: lines, self._silences, COMMENT)
        try:
            await self._follow(caller, (kept, course), (renderer, _Rest(after)), stream)
        except asyncio.CancelledError:
            if stream.begun and not response.is_complete:
                stream.end(self._format.family.error_event(Overloaded(SHUTTING_DOWN)))
            raise
        except Exception as error:
            if not stream.begun:
                raise
            stream.end(self._format.family.error_event(known(error)))
        finally:
            stream.stop()

    async def cancel(self, caller: Caller, kept: Response) -> Response:
        """Have an answer end, and return it as it is then; one that has ended is as it was.

        Raises:
            ResourceState: if it is not made in the background.
            ResourceNotFound: if the caller sees it, and may not end it.
            RateLimited: as ``end``.
        """
        if not may_change(caller, kept.owner):
            raise no_response(kept.id)
        if not kept.job:
            text = "Only a response that was created with 'background' can be cancelled."
            raise ResourceState(text, kind=KIND, name=kept.id)
        await self.end(caller, kept)
        return await self._ended.settled(kept)

    async def end(self, caller: Caller, kept: Response) -> None:
        """Have the job of an answer end that the caller may end, and wait for that a while.

        Raises:
            RateLimited: if the caller's key watches as many jobs as it may; then nothing has changed.
        """
        if kept.status is not Status.QUEUED:
            return
        viewer, desk = _viewer(caller), self._parts.desk
        # A job that is gone, too, has ended.
        with suppress(TimeoutError, ResourceNotFound):
            seen = (await desk.get(viewer, "", kept.job)).last_event
            async with aclosing(desk.watch(viewer, "", kept.job, seen)) as watched:
                # Its place among those that the key watches comes before what it does.
                await anext(watched)
                await desk.cancel(viewer, "", kept.job)
                async with asyncio.timeout(self._parts.cancel_wait.total_seconds()):
                    await _over(watched)

    async def forget(self, kept: Response) -> None:
        """Delete what the job has of an answer that was deleted."""
        # One that is still being run is gone with all its answers once their time is over.
        await self._parts.jobs.delete(kept.tenant, kept.job)

    async def _accepted(
        self, call: Call[ChatOrder], submission: Submission, arrival: Arrival, sent: tuple[HttpRequest, bytes]
    ) -> Accepted:
        parts = self._parts
        if KEY_HEADER not in arrival.headers:
            (accepted,) = await parts.submitter.submit(call.caller, submission)
            return accepted
        marked = marked_by(parts.marks, call, arrival, sent)
        return await parts.repeats.submitted(call.caller, submission, marked, parts.kept)

    async def _kept(self, stateful: StatefulRequest, accepted: Accepted) -> Response:
        """Return the answer that a job makes, kept as one that waits."""
        job, read, store = accepted.job, stateful.read, self._responses.store
        if not accepted.is_new and (found := await store.of_job(job.tenant, job.id)) is not None:
            return found
        content = Content(items=stateful.asked.items, form=msgspec.json.encode(read.form))
        name = await self._name_of(job)
        kept = stateful.response(name, int(job.created_at.timestamp()), Status.QUEUED, content)
        kept = msgspec.structs.replace(kept, job=job.id, streams=read.stream)
        await store.keep(kept)
        return kept

    async def _name_of(self, job: Job) -> str:
        content = await self._parts.jobs.order(job)
        if content is None:
            raise ResourceState("The request's job is gone: send it under another key.", kind=KIND, name=job.id)
        return order_of(job.kind, content).generation_id

    async def _course(self, kept: Response) -> _Course:
        """Return where the newest attempt of an answer's job begins that has said something."""
        job = await self._parts.jobs.get(kept.tenant, kept.job)
        if job is None:
            text = "The events of the response are not kept any longer: get it without 'stream'."
            raise ResourceState(text, kind=KIND, name=kept.id)
        course, after, has_said = _Course(), 0, False
        while events := await self._parts.jobs.events(job, after, _EVENTS_AT_ONCE):
            for each in events:
                after = each.number
                if _begins_anew(each) and has_said:
                    course, has_said = _Course(each.number - 1, is_anew=True), False
                has_said = has_said or isinstance(each.event, Generated)
        return course

    async def _follow(
        self,
        caller: Caller,
        read: tuple[Response, _Course],
        told: tuple[EventRenderer, _Rest],
        stream: EventStream,
    ) -> None:
        (kept, course), (renderer, rest) = read, told
        # At once: no failure follows that has a status of its own.
        stream.begin()
        await stream.write(rest.of(renderer.queue()))
        started: Started | None = None
        async with aclosing(self._watched(caller, kept, course)) as watched:
            async for seen in watched:
                event = None if seen.event is None else seen.event.event
                if isinstance(event, Generated):
                    started = started or _started_in(event)
                    await stream.write(rest.of(renderer.render(event.events)))
                elif seen.event is not None and _begins_anew(seen.event) and started is not None:
                    raise Overloaded("Whoever gave the response is gone, and another begins it anew. Stream it again.")
                if seen.job is not None and _is_last(seen, seen.job):
                    stream.end(rest.of(self._last(renderer, seen.job, started)))
                    return

    def _watched(self, caller: Caller, kept: Response, course: _Course) -> AsyncGenerator[Seen]:
        return self._parts.desk.watch(_viewer(caller), "", kept.job, course.after)

    def _last(self, renderer: EventRenderer, job: Job, started: Started | None) -> bytes:
        if job.state is JobState.SUCCEEDED:
            ended_at = 0 if job.ended_at is None else int(job.ended_at.timestamp())
            dropped = started.dropped if started is not None else ()
            # Nothing that is not the answer's own: whoever reads it later is told the same.
            return renderer.end(StreamSummary(overhead_ms=0.0, cache="", dropped=dropped, ended_at=ended_at))
        if job.state is JobState.CANCELLED:
            return renderer.fail(ResourceState("The response was cancelled.", kind=KIND, name=job.id))
        return renderer.fail(self._ended.error(job))


class _Course(NamedTuple):
    """Where an answer begins among its job's events; ``is_anew``: others before it were another attempt's."""

    after: int = 0
    is_anew: bool = False


class _Rest:
    """Leaves out of a stream what has been seen: its events count from 0, without a gap."""

    def __init__(self, after: int) -> None:
        self._left = after + 1

    def of(self, frames: bytes) -> bytes:
        """Return what of the next frames was not seen."""
        while self._left and frames.startswith(_EVENT):
            frames = frames.partition(_END_OF_FRAME)[2]
            self._left -= 1
        return frames


async def _over(watched: AsyncGenerator[Seen]) -> None:
    async for seen in watched:
        if seen.job is not None and seen.job.state.is_end:
            return


def _started_in(event: Generated) -> Started | None:
    first = event.events[0]
    return first if isinstance(first, Started) else None


def _is_last(seen: Seen, job: Job) -> bool:
    """Return whether nothing follows what is seen."""
    return job.state.is_end and (seen.event is None or seen.event.number == job.last_event)


def _begins_anew(event: NumberedEvent) -> bool:
    return isinstance(event.event, AttemptStarted) and not event.event.goes_on


def _viewer(caller: Caller) -> Viewer:
    # Whether it is theirs was asked of the answer.
    return Viewer(Actor.of(caller, "", ""), caller.counted_key_id, sees_tenant=True)

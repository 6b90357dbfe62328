"""A job's answer as one process sees it: whoever asked for it, here or elsewhere, first or again, reads the same.

Where this process runs the job it is told by it, with the database only behind;
where another one does, whoever waits looks into the database for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import msgspec

from penstock_common.errors import DeadlineExceeded, Overloaded, PenstockError, ResourceState
from penstock_common.llm.types import Batch, Finished, GenerationEvent, Started
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.events import AttemptStarted, Generated, JobEvent
from penstock_gateway.domain.jobs.job import Job, JobError, JobState
from penstock_gateway.domain.jobs.ports import JobStore
from penstock_gateway.domain.jobs.results import (
    AnyResult,
    ChatResult,
    chat_result,
    embedding_result,
    result_of,
)
from penstock_gateway.domain.life.chat import ChatExchange
from penstock_gateway.domain.life.embeddings import EmbeddingExchange
from penstock_gateway.domain.life.flights import without_frames

_EVENTS_AT_ONCE = 200

ErrorOf = Callable[[JobError], PenstockError | None]
"""Returns the error of a reason; None where it is nobody's."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer is looked for that another process gives. ``poll``: how often, where nothing rings."""

    store: JobStore
    bell: Bell
    poll: timedelta
    error_of: ErrorOf


class JobAnswer:
    """Implements ``Owner``: one answer, as far as it has come. Its last event is told once it is kept."""

    def __init__(self, job: Job, fingerprint: str, sources: Sources, *, is_here: bool) -> None:
        """``is_here``: this process runs the job, and tells how it goes."""
        self.job = job
        self.fingerprint = fingerprint
        self.exchange: ChatExchange | EmbeddingExchange | None = None
        """The request, where it is made here."""
        self.record: list[Batch] = []
        self.course = 1
        """Which beginning that follows: it grows where the answer is begun anew."""
        self.result: AnyResult | None = None
        self.error: PenstockError | None = None
        self.is_over = False
        self.readers = 0
        self._sources = sources
        self._is_here = is_here
        self._version = 0
        self._last_event = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._looking = asyncio.Lock()

    @property
    def started(self) -> Started | None:
        """Who answers, once that is known, where it is a text."""
        first = self.record[0][0] if self.record else None
        return first if isinstance(first, Started) else None

    def began(self, exchange: ChatExchange | EmbeddingExchange) -> None:
        """See the request begin."""
        self.exchange = exchange

    def given(self, batch: Batch) -> None:
        """See a part of its answer."""
        self.record.append(batch)
        self._wake()

    def ended(self, error: BaseException | None, *, is_kept: bool) -> None:
        """See the attempt end."""
        exchange, self._is_here = self.exchange, False
        if is_kept and error is None and exchange is not None:
            self._succeed(self._result_of(exchange))
        elif is_kept and isinstance(error, PenstockError):
            # Each reader raises it from a task of its own.
            self._fail(without_frames(error))
        else:
            # Another has it now, or nobody: the database says which.
            self._wake()

    async def events(self) -> AsyncGenerator[Batch, None]:
        """Yield the answer from its first event on.

        Raises:
            PenstockError: what has ended it.
            Overloaded: if another attempt began it anew, of which this reader has something already.
        """
        at, course = 0, self.course
        while True:
            if course != self.course:
                if at:
                    raise Overloaded("Whoever gave the answer is gone, and another begins it anew. Repeat the request.")
                course = self.course
            version = self._version
            while at < len(self.record) and (self.is_over or not isinstance(self.record[at][-1], Finished)):
                at += 1
                yield self.record[at - 1]
                if course != self.course:
                    break
            else:
                if self.is_over:
                    self._raise()
                    return
                await self._changed(version)

    async def whole(self) -> AnyResult:
        """Return what came of it.

        Raises:
            PenstockError: what has ended it.
        """
        await self.over()
        self._raise()
        assert self.result is not None, "it is over, and was not ended by an error"
        return self.result

    async def over(self) -> None:
        """Return once it has ended, well or not."""
        while not self.is_over:
            await self._changed(self._version)

    async def begun(self) -> None:
        """Return once there is something of it, or it is over."""
        while not self.is_over and not self.record:
            await self._changed(self._version)

    async def look(self) -> None:
        """Take in what the database knows."""
        store = self._sources.store
        job = await store.get(self.job.tenant, self.job.id)
        if job is None:
            self._fail(Overloaded("The job that gave the answer was deleted. Repeat the request."))
            return
        while True:
            events = await store.events(job, self._last_event, _EVENTS_AT_ONCE)
            for each in events:
                self._last_event = each.number
                self._take(each.event)
            if len(events) < _EVENTS_AT_ONCE:
                break
        if events or job.state is not self.job.state:
            self._wake()
        self.job = job
        if job.state.is_end:
            await self._end(job)

    async def _end(self, job: Job) -> None:
        if job.state is not JobState.SUCCEEDED:
            self._fail(self._failure_of(job))
            return
        content = await self._sources.store.result(job)
        if content is None:
            self._fail(Overloaded("The answer is not kept any longer. Repeat the request."))
            return
        self._succeed(result_of(job.kind, content))

    def _take(self, event: JobEvent) -> None:
        if isinstance(event, AttemptStarted):
            if not event.goes_on:
                self.record = []
                self.course += 1
        elif isinstance(event, Generated):
            self.record.append(event.events)

    def _succeed(self, result: AnyResult) -> None:
        self.result, self.is_over = result, True
        if not self.record and isinstance(result, ChatResult):
            self.record.append(tuple(result.events))
        self._wake()

    def _fail(self, error: PenstockError) -> None:
        self.error, self.is_over = error, True
        self._wake()

    def _failure_of(self, job: Job) -> PenstockError:
        if job.state is JobState.CANCELLED:
            return ResourceState("The request was cancelled.", kind="job", name=job.id)
        told = None if job.error is None else self._sources.error_of(job.error)
        if told is not None:
            return told
        if job.state is JobState.EXPIRED:
            return DeadlineExceeded("The request's deadline passed before it was done.")
        return Overloaded("The request was begun several times, and never came to an end. Repeat it.")

    def _result_of(self, exchange: ChatExchange | EmbeddingExchange) -> AnyResult:
        if isinstance(exchange, EmbeddingExchange):
            assert exchange.embedded is not None, "it has ended well"
            return embedding_result(exchange, exchange.embedded)
        events: list[GenerationEvent] = [event for batch in self.record for event in batch]
        return chat_result(exchange, events)

    def _raise(self) -> None:
        if self.error is not None:
            raise without_frames(self.error)

    async def _changed(self, version: int) -> None:
        """Return once something is other than at that version."""
        if self._version != version:
            return
        if self._is_here:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
            return
        # One looks for all who wait; whoever is next finds that it has changed.
        async with self._looking:
            if self._version == version:
                await self._look_again()

    async def _look_again(self) -> None:
        version, listening = self._version, self._sources.bell.listen(self.job.id)
        try:
            while self._version == version and not self.is_over:
                await self.look()
                if self._version == version and not self.is_over:
                    await listening.heard(self._sources.poll.total_seconds())
        finally:
            listening.close()

    def _wake(self) -> None:
        self._version += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

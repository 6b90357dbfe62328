"""Dynamic batching: texts of concurrent callers run through the model together.

Documents that are taken in come behind: they run where no caller waits, in
batches that are small, since who comes meanwhile waits for one; and once in so
many batches where callers leave no gap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple, Protocol

from penstock_common.errors import DeadlineExceeded, Overloaded
from penstock_embedding.domain.account import Account, most_of
from penstock_embedding.domain.batching import BatchBounds, PreparedText, QueuedCall, QueuedText, TextQueue
from penstock_embedding.domain.embedder import OWN_UPSTREAM, Embedded, Vector

# The pace falls to what was seen at once and rises slowly: a machine that stalls for a moment must drop no calls.
_PACE_RISE = 0.1
# And each call that is dropped for it lowers it, so that an estimate that is too high heals.
_PACE_DOUBT = 0.9
_LEAST_RETRY = timedelta(milliseconds=100)
_MOST_RETRY = timedelta(seconds=30)


class BatchModel(Protocol):
    """A runtime that takes batches."""

    @property
    def name(self) -> str:
        """What callers ask for."""
        ...

    @property
    def revision(self) -> str:
        """What tells vectors apart."""
        ...

    async def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts as ``run`` takes them, in order."""
        ...

    async def run(self, batch: Sequence[PreparedText], deadline: float | None, account: Account) -> list[Vector]:
        """Return one L2-normalised vector per text, in order; after ``deadline`` nobody waits for them any more.

        A model that is elsewhere notes in ``account`` whom it asked, and who answered.
        """
        ...


class RanBatch(NamedTuple):
    """One run: its texts, their tokens, the same with padding, and how long it took."""

    texts: int
    tokens: int
    padded_tokens: int
    seconds: float


class BatchObserver(Protocol):
    """Turns what the batcher does into metrics; returns at once."""

    def ran(self, batch: RanBatch) -> None:
        """See a run end."""
        ...

    def waited(self, seconds: float) -> None:
        """See a call's first text leave the queue."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """How texts become batches, and how many may wait.

    A text waits for companions at most ``max_wait``, and not at all where the
    model has nothing else to do. ``runs_at_once`` is above 1 for a model that
    is elsewhere. ``taken_ahead`` batches stand ready for a model that runs one
    after another, so that it never waits for the event loop. What is done in
    the background has bounds of its own, and one of ``background_turn`` batches
    though callers wait.
    """

    bounds: BatchBounds = BatchBounds()
    background_bounds: BatchBounds = BatchBounds(max_padded_tokens=256)
    background_turn: int = 8
    max_wait: timedelta = timedelta(milliseconds=2)
    max_waiting_texts: int = 8192
    max_waiting_tokens: int = 131_072
    runs_at_once: int = 1
    taken_ahead: int = 0


@dataclass(eq=False, slots=True)
class _Call(QueuedCall):
    """A call whose vectors are being made."""

    vectors: list[Vector] | None = None
    missing: int = 0
    done: asyncio.Future[None] | None = None
    expiry: asyncio.TimerHandle | None = None
    account: Account = field(default_factory=Account)

    def deliver(self, queued: QueuedText, vector: Vector, upstream: str) -> None:
        assert self.vectors is not None, "a call without a place for its vectors"
        self.vectors[queued.position] = vector
        self.account.note_answered(upstream, queued.text.tokens)
        self.missing -= 1
        if not self.missing and self.done is not None and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: BaseException) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(error)


class Batcher:
    """An ``EmbeddingModel`` over a ``BatchModel``. Works while ``running`` is open."""

    def __init__(
        self,
        model: BatchModel,
        policy: BatchPolicy,
        observer: BatchObserver,
        monotonic: Callable[[], float] = time.monotonic,
        upstream: str = OWN_UPSTREAM,
    ) -> None:
        """Take the model; ``upstream`` is where its work is done, or which one is asked first."""
        self._model = model
        self._policy = policy
        self._observer = observer
        self._upstream = upstream
        self._monotonic = monotonic
        self._queue = TextQueue(policy.bounds)
        self._background = TextQueue(policy.background_bounds)
        self._since_background = 0
        self._preparing = 0
        self._calls: set[_Call] = set()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._seconds_per_token = 0.0
        self._under_way = 0
        self._last_end = 0.0
        self._closed = False

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._model.name

    @property
    def revision(self) -> str:
        """The revision of the model."""
        return self._model.revision

    @property
    def waiting_texts(self) -> int:
        """Texts that wait for their batch."""
        return self._queue.texts + self._background.texts

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Run batches; on exit, refuse what waits and wait for what runs."""
        async with asyncio.TaskGroup() as group:
            workers = [
                group.create_task(self._work()) for _ in range(self._policy.runs_at_once + self._policy.taken_ahead)
            ]
            try:
                yield
            finally:
                self._closed = True
                for worker in workers:
                    worker.cancel()
                for call in list(self._calls):
                    call.fail(Overloaded("The embedding service is shutting down. Try again."))

    async def embed(
        self, texts: Sequence[str], deadline: float | None, account: Account, *, background: bool = False
    ) -> Embedded:
        """Return the texts' vectors, as ``EmbeddingModel`` says; a caller that is cancelled takes its texts along."""
        queue = self._background if background else self._queue
        prepared = await self._prepare(texts, queue)
        call = self._admit(prepared, queue, deadline, account)
        try:
            assert call.done is not None, "admitted without a future"
            await call.done
        finally:
            if call.expiry is not None:
                call.expiry.cancel()
            self._calls.discard(call)
            queue.drop(call)
        assert call.vectors is not None, "answered without vectors"
        tokens = sum(text.tokens for text in prepared)
        return Embedded(call.vectors, [text.truncated for text in prepared], tokens)

    async def _prepare(self, texts: Sequence[str], queue: TextQueue) -> list[PreparedText]:
        count = len(texts)
        waiting = queue.texts + self._preparing
        # One call may be larger than the queue; alone it must still be served.
        if self._closed or (waiting and waiting + count > self._policy.max_waiting_texts):
            raise self._overloaded(queue)
        self._preparing += count
        try:
            return await self._model.prepare(texts)
        finally:
            self._preparing -= count

    def _admit(self, texts: list[PreparedText], queue: TextQueue, deadline: float | None, account: Account) -> _Call:
        tokens = sum(text.tokens for text in texts)
        if self._closed or (queue.tokens and queue.tokens + tokens > self._policy.max_waiting_tokens):
            raise self._overloaded(queue)
        call = _Call(self._monotonic(), deadline, vectors=[[]] * len(texts), missing=len(texts), account=account)
        loop = asyncio.get_running_loop()
        call.done = loop.create_future()
        if deadline is not None:
            # For what runs already: a model that is elsewhere may be silent.
            call.expiry = loop.call_later(max(0.0, deadline - call.arrived), call.fail, _too_late())
        self._calls.add(call)
        queue.put(call, texts)
        self._arrived.set()
        if self._queue.fills_a_batch:
            self._full.set()
        return call

    def _overloaded(self, queue: TextQueue) -> Overloaded:
        backlog = timedelta(seconds=queue.tokens * self._seconds_per_token)
        return Overloaded(
            f"{queue.texts} texts wait to be embedded already. Try again, or send fewer at once.",
            retry_after=min(max(backlog, _LEAST_RETRY), _MOST_RETRY),
        )

    async def _work(self) -> None:
        while True:
            await self._run(await self._next_batch())

    async def _next_batch(self) -> list[QueuedText]:
        while True:
            if self._queue.texts:
                await self._companions()
            while not self._queue.texts and not self._is_background_due():
                self._arrived.clear()
                await self._arrived.wait()
                # Idle, whoever comes is served at once.
                if self._under_way >= self._policy.runs_at_once:
                    await self._companions()
            taken = self._next_queue().take(self._monotonic(), self._seconds_per_token)
            for dropped in taken.dropped:
                self._seconds_per_token *= _PACE_DOUBT
                assert isinstance(dropped, _Call), "a call that is not ours"
                dropped.fail(_too_late())
            if taken.batch:
                return taken.batch

    def _is_background_due(self) -> bool:
        """Return whether the next batch is one of the background."""
        if not self._background.texts:
            return False
        if self._since_background >= self._policy.background_turn - 1:
            return True
        # Never ahead: it would stand before a caller who comes while another batch runs.
        return not self._queue.texts and self._under_way < self._policy.runs_at_once

    def _next_queue(self) -> TextQueue:
        if self._is_background_due():
            self._since_background = 0
            return self._background
        self._since_background += 1
        return self._queue

    async def _companions(self) -> None:
        """Wait until the next batch is full, or the oldest text has waited long enough."""
        oldest = self._queue.oldest_arrival
        if oldest is None or self._queue.fills_a_batch:
            return
        seconds = oldest + self._policy.max_wait.total_seconds() - self._monotonic()
        if seconds > 0:
            self._full.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._full.wait()

    async def _run(self, batch: list[QueuedText]) -> None:
        taken_at = self._monotonic()
        self._under_way += 1
        ran = Account()
        for queued in batch:
            _own(queued).account.note_sent(self._upstream, queued.text.tokens)
        try:
            vectors = await self._model.run([queued.text for queued in batch], _latest_deadline(batch), ran)
        except Exception as error:  # noqa: BLE001 - it belongs to the callers; the next batch may do better
            for queued in batch:
                _own(queued).fail(error)
            return
        finally:
            self._under_way -= 1
            if self._background.texts:
                self._arrived.set()
            # What was taken ahead ran when the one before it had ended.
            began = max(taken_at, self._last_end) if self._policy.taken_ahead else taken_at
            self._last_end = self._monotonic()
            self._note_waits(batch, began)
            self._note_attempts(batch, ran)
        upstream = most_of(ran.answered, self._upstream)
        for queued, vector in zip(batch, vectors, strict=True):
            _own(queued).deliver(queued, vector, upstream)
        self._note_run(batch, self._last_end - began)

    def _note_waits(self, batch: list[QueuedText], now: float) -> None:
        for queued in batch:
            if not queued.call.has_begun:
                queued.call.has_begun = True
                self._observer.waited(now - queued.call.arrived)

    def _note_attempts(self, batch: list[QueuedText], ran: Account) -> None:
        """Share what was done for a batch with its calls: all of it was done for each."""
        for queued in batch:
            _own(queued).account.note_failed(self._upstream, queued.text.tokens)
        for call in {id(queued.call): _own(queued) for queued in batch}.values():
            call.account.note_attempts(ran.attempts or 1)
            call.account.steps.recorded.extend(ran.steps.recorded)

    def _note_run(self, batch: list[QueuedText], seconds: float) -> None:
        sizes = [queued.text.tokens for queued in batch]
        padded = len(sizes) * max(sizes)
        # Of what runs beside it nothing is known but how much it is at the most: an estimate that is too low drops nobody.
        pace = seconds / (padded * self._policy.runs_at_once)
        if pace < self._seconds_per_token:
            self._seconds_per_token = pace
        elif 2 * padded > self._policy.bounds.max_padded_tokens:
            # A small batch says little about what a large one costs per token.
            self._seconds_per_token += _PACE_RISE * (pace - self._seconds_per_token)
        self._observer.ran(RanBatch(len(sizes), sum(sizes), padded, seconds))


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The texts cannot be embedded before the request's deadline.")


def _latest_deadline(batch: list[QueuedText]) -> float | None:
    deadlines = [queued.call.deadline for queued in batch]
    return None if None in deadlines else max(deadline for deadline in deadlines if deadline is not None)


def _own(queued: QueuedText) -> _Call:
    assert isinstance(queued.call, _Call), "a call that is not ours"
    return queued.call

"""One attempt at a job: its order, run through the same life as any request, by the caller that its key is now."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

import msgspec

from penstock_common.background import StartWork
from penstock_common.errors import DeadlineExceeded
from penstock_common.llm.types import Batch, GenerationEvent
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.domain.access.holders import Holders
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.access.policy import INFERENCE, Policy
from penstock_gateway.domain.jobs.job import Job
from penstock_gateway.domain.jobs.orders import AnyOrder
from penstock_gateway.domain.jobs.reports import Owner, Report
from penstock_gateway.domain.jobs.results import AnyResult, chat_result, embedding_result
from penstock_gateway.domain.life.chat import ChatExchange, ChatLife
from penstock_gateway.domain.life.door import Door
from penstock_gateway.domain.life.embeddings import EmbeddingLife
from penstock_gateway.domain.life.order import Call, ChatOrder, EmbeddingOrder, Order

_GENERATION_ID_BYTES = 12

OrderT = TypeVar("OrderT", bound=Order)
_AskedT = TypeVar("_AskedT", ChatOrder, EmbeddingOrder)


class NotYet(Exception):
    """An attempt has done what there was to do for now: the job waits until then, which was none of its attempts."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"not before {until}")
        self.until = until


class Attempt(msgspec.Struct, frozen=True):
    """What a worker is at: a job that it holds, what that asks, and where it tells how it goes."""

    job: Job
    order: AnyOrder
    report: Report
    owner: Owner | None = None
    """Who listens without the database between."""
    is_cancelled: Callable[[], bool] = lambda: False
    """Whether what ended it was that somebody cancelled the job."""


class Execution(Protocol):
    """Runs attempts at jobs of one kind."""

    async def run(self, attempt: Attempt) -> AnyResult:
        """Return what came of it.

        Raises:
            NotYet: if there is more to do, later.
            PenstockError: whatever fails it; ``retrying`` says what becomes of the job.
        """
        ...


def generation_id_of(job: Job, order: Order) -> str:
    """Return under which id the bill of a job's newest attempt is kept.

    The first one's is its order's own; a later one's follows from the job and its epoch, so that whoever finds an
    attempt without a bill can write it, and nobody a second one.
    """
    if job.epoch <= 1:
        return order.generation_id
    text = f"{job.id}/{job.epoch}".encode()
    return hashlib.blake2b(text, digest_size=_GENERATION_ID_BYTES).hexdigest()


class Arriving:
    """Has jobs arrive as requests do: whose they are, by which trace, with how much time and how much room."""

    def __init__(self, holders: Holders, door: Door, traces: TraceStarter, most: timedelta) -> None:
        """Take who looks callers up, the jobs' own door, and how long an attempt may take."""
        self._holders = holders
        self._door = door
        self._traces = traces
        self._most = most

    async def caller(self, attempt: Attempt, policy: Policy) -> Caller:
        """Return whose job it is, if they still may do what ``policy`` is for.

        Raises:
            InvalidCredentials, ServiceUnavailable: as ``Holders.caller``.
            ScopeMissing: if they may not.
        """
        job, order = attempt.job, attempt.order
        caller = await self._holders.caller(job.tenant, job.key_id, order.asker)
        policy.require(caller.scopes)
        return caller

    def time_left(self, job: Job, *, of_all: bool = False) -> timedelta:
        """Return how long an attempt that begins now may take; ``of_all``: up to the job's deadline.

        Raises:
            DeadlineExceeded: if the job's deadline has passed.
        """
        left = job.deadline_at - datetime.now(UTC)
        if left <= timedelta():
            raise DeadlineExceeded("The job's deadline passed before it was done.")
        return left if of_all else min(self._most, left)

    async def call(self, attempt: Attempt, order: _AskedT) -> Call[_AskedT]:
        """Return the call that the life of such a request takes; raises what ``caller`` and ``time_left`` raise."""
        job = attempt.job
        caller = await self.caller(attempt, INFERENCE)
        asked = msgspec.structs.replace(
            order,
            generation_id=generation_id_of(job, order),
            key_id=caller.key_id,
            timeout=self.time_left(job),
            priority=job.priority,
            job=job.id,
            attempt=job.attempts,
        )
        trace = self._traces.start(job.traceparent)
        place = self._door.enter(caller, job.priority)
        return Call(asked, caller, place, trace, Steps(), time.time_ns())


HandOver = Callable[[Attempt, ChatExchange], Awaitable[bool]]
"""Has others answer what an exchange, which has been entered, would ask a model; returns whether they do."""


class ChatExecution:
    """Implements ``Execution``: an answer, streamed to those who watch unless its order wants it whole."""

    def __init__(self, arriving: Arriving, life: ChatLife, in_background: StartWork) -> None:
        self._arriving = arriving
        self._life = life
        self._in_background = in_background

    async def run(self, attempt: Attempt) -> AnyResult:
        """Return the answer; see the port."""
        return await self.run_by(self._life, attempt)

    async def run_by(self, life: ChatLife, attempt: Attempt, hand_over: HandOver | None = None) -> AnyResult:
        """Return the answer by a life, unless ``hand_over`` has others answer it once it has begun.

        Raises:
            NotYet: if it did.
        """
        order, report, owner = _of(ChatOrder, attempt), attempt.report, attempt.owner
        exchange = life.begin(await self._arriving.call(attempt, order))
        if owner is not None:
            owner.began(exchange)
        events: list[GenerationEvent] = []
        is_handed_over = False
        async with exchange:
            is_handed_over = hand_over is not None and await hand_over(attempt, exchange)
            async for batch in exchange.batches() if not is_handed_over else nothing():
                events += batch
                if not order.whole:
                    report.generated(batch)
                if owner is not None:
                    owner.given(batch)
        if is_handed_over:
            raise NotYet(attempt.job.deadline_at)
        self._in_background(exchange.afterwards())
        return chat_result(exchange, events)


class EmbeddingExecution:
    """Implements ``Execution``: vectors."""

    def __init__(self, arriving: Arriving, life: EmbeddingLife) -> None:
        self._arriving = arriving
        self._life = life

    async def run(self, attempt: Attempt) -> AnyResult:
        """Return the vectors; see the port."""
        exchange = self._life.begin(await self._arriving.call(attempt, _of(EmbeddingOrder, attempt)))
        if attempt.owner is not None:
            attempt.owner.began(exchange)
        async with exchange:
            embedded = await exchange.embed()
        return embedding_result(exchange, embedded)


async def nothing() -> AsyncGenerator[Batch]:
    """Yield no events."""
    for events in ():
        yield events


def _of(kind: type[OrderT], attempt: Attempt) -> OrderT:
    assert isinstance(attempt.order, kind), "a job whose kind is not its order's"
    return attempt.order

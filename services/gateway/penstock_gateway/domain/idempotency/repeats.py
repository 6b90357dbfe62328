"""Inference under a key: a job that is its process's own from birth, and that whoever repeats the request joins.

Only an answer is kept. What refuses or fails the request is told to all who
wait for it, and frees its key. A process that dies leaves the job to a worker,
and its key to the job.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from penstock_common.errors import ModelNotPermitted
from penstock_common.priority import Priority
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.idempotency.calls import in_progress, reused
from penstock_gateway.domain.idempotency.following import JobAnswer, Sources
from penstock_gateway.domain.idempotency.keys import Marked, WhenBusy
from penstock_gateway.domain.idempotency.observing import CountSent, Sent, nobody_counts
from penstock_gateway.domain.jobs.gate import Gate
from penstock_gateway.domain.jobs.job import Accepted, Claimed, Job, JobKind, JobState
from penstock_gateway.domain.jobs.orders import order_bytes
from penstock_gateway.domain.jobs.running import JobRunner
from penstock_gateway.domain.jobs.submission import Submission, Submitter, with_asker
from penstock_gateway.domain.jobs.terms import JobTerms
from penstock_gateway.domain.life.order import ChatOrder, EmbeddingOrder
from penstock_gateway.domain.life.validation import validate_context, validate_embedding_input, validate_input

# Whoever asked has long gone by then: an answer would only cost.
_WANTED_FOR = timedelta(hours=1)


class Joined(NamedTuple):
    """An answer; ``is_original``: this request is the one that it is the answer to."""

    answer: JobAnswer
    is_original: bool


class Repeats:
    """Begins requests as jobs of this process, and finds those that were begun under the same key anywhere."""

    def __init__(self, submitter: Submitter, runner: JobRunner, sources: Sources, gate: Gate) -> None:
        self._gate = gate
        self._submitter = submitter
        self._runner = runner
        self._sources = sources
        self._open: dict[str, JobAnswer] = {}
        self._opening: dict[str, asyncio.Future[None]] = {}
        self.count_answer: CountSent = nobody_counts
        """Who counts requests for answers under a key."""
        self.count_job: CountSent = nobody_counts
        """Who counts jobs that are submitted under one."""

    @asynccontextmanager
    async def joined(self, caller: Caller, asked: Submission, marked: Marked | None) -> AsyncGenerator[Joined]:
        """Yield the answer to a request: under ``marked``'s key, or its own where there is none.

        Raises:
            IdempotencyKeyReused: if another request was sent under the key.
            IdempotencyInProgress: if it is not answered yet, and its sender does not wait.
            PenstockError: as ``Submitter.submit``.
        """
        joined = await (self._begun(caller, asked) if marked is None else self._found(caller, asked, marked))
        answer = joined.answer
        answer.readers += 1
        try:
            if marked is not None:
                self._check(joined, marked)
            yield joined
        finally:
            answer.readers -= 1
            if marked is not None and not answer.readers and self._open.get(marked.mark) is answer:
                del self._open[marked.mark]

    def _check(self, joined: Joined, marked: Marked) -> None:
        """Count a request under a key, and refuse what may not join."""
        answer = joined.answer
        if joined.is_original:
            self.count_answer(Sent.FIRST)
        elif answer.fingerprint != marked.fingerprint:
            self.count_answer(Sent.REUSED)
            raise reused()
        elif marked.when_busy is WhenBusy.CONFLICT and not answer.is_over:
            self.count_answer(Sent.IN_PROGRESS)
            raise in_progress()
        else:
            self.count_answer(Sent.REPLAYED if answer.is_over else Sent.JOINED)

    async def queued(self, caller: Caller, asked: Submission, marked: Marked | None) -> Job | None:
        """Return the job that a request becomes, for whoever takes it; None where its answer is there to be joined.

        Raises:
            IdempotencyKeyReused: if another request was sent under the key.
            PenstockError: as ``Submitter.submit``.
        """
        await self._gate.check(caller, asked.order, self._submitter.deadline_of(asked.terms))
        while True:
            (accepted,) = await self._submitter.submit(caller, _with(asked, marked))
            if accepted.is_new:
                if marked is not None:
                    self.count_job(Sent.FIRST)
                return accepted.job
            if marked is not None and accepted.fingerprint != marked.fingerprint:
                self.count_job(Sent.REUSED)
                raise reused()
            if accepted.job.state is JobState.SUCCEEDED:
                return None
            if not accepted.job.state.is_end:
                self.count_job(Sent.JOINED)
                return accepted.job
            await self._sources.store.unmark(accepted.job.id)

    async def submitted(self, caller: Caller, asked: Submission, marked: Marked, kept: timedelta) -> Accepted:
        """Return the job that was, or is now, submitted under a key, however it stands; a key is one job's for so long.

        Raises:
            IdempotencyKeyReused: if another request was sent under the key.
            PenstockError: as ``Submitter.submit``.
        """
        while True:
            (accepted,) = await self._submitter.submit(caller, _with(asked, marked))
            if accepted.is_new:
                self.count_job(Sent.FIRST)
                return accepted
            if accepted.job.created_at + kept < datetime.now(UTC):
                await self._sources.store.unmark(accepted.job.id)
                continue
            if accepted.fingerprint != marked.fingerprint:
                self.count_job(Sent.REUSED)
                raise reused()
            self.count_job(Sent.REPLAYED)
            return accepted

    async def _found(self, caller: Caller, asked: Submission, marked: Marked) -> Joined:
        """Return what there is under a key, or what begins; of those who look at once, one looks for all."""
        while True:
            known = self._open.get(marked.mark)
            if known is not None and known.error is None:
                return Joined(known, is_original=False)
            opening = self._opening.get(marked.mark)
            if opening is not None:
                await asyncio.wait((opening,))
                continue
            done = self._opening[marked.mark] = asyncio.get_running_loop().create_future()
            try:
                joined = await self._looked_up(caller, asked, marked)
                if joined is not None:
                    self._open[marked.mark] = joined.answer
                    return joined
            finally:
                del self._opening[marked.mark]
                done.set_result(None)

    async def _looked_up(self, caller: Caller, asked: Submission, marked: Marked) -> Joined | None:
        """Return what there is, or what begins; None where somebody else has been quicker."""
        store = self._sources.store
        known = await store.marked(marked.mark)
        if known is None:
            joined = await self._begun(caller, asked, marked)
            return joined if joined.is_original else None
        answer = JobAnswer(known.job, known.fingerprint, self._sources, is_here=False)
        if known.job.state.is_end:
            await answer.look()
            expires_at = known.job.result_expires_at
            if answer.error is not None or (expires_at is not None and expires_at < datetime.now(UTC)):
                await store.unmark(known.job.id)
                return None
        return Joined(answer, is_original=False)

    async def _begun(self, caller: Caller, asked: Submission, marked: Marked | None = None) -> Joined:
        # Whoever leaves meanwhile leaves nothing half done: once it is accepted it is run.
        beginning = asyncio.get_running_loop().create_task(self._begin(caller, _with(asked, marked)))
        return await asyncio.shield(beginning)

    async def _begin(self, caller: Caller, asked: Submission) -> Joined:
        owned = msgspec.structs.replace(
            asked,
            order=with_asker(asked.order, caller),
            owner=self._runner.worker,
            owned_until=self._runner.lease_from(datetime.now(UTC)),
        )
        (accepted,) = await self._submitter.submit(caller, owned)
        answer = JobAnswer(accepted.job, asked.fingerprint, self._sources, is_here=accepted.is_new)
        if accepted.is_new:
            self._runner.begin_owned(Claimed(accepted.job, order_bytes(owned.order)), answer)
        return Joined(answer, accepted.is_new)


def submission_of(caller: Caller, order: ChatOrder | EmbeddingOrder, traceparent: str, kept: timedelta) -> Submission:
    """Return what a request becomes whose answer is kept for so long, and what would refuse it whenever it were begun.

    Raises:
        InvalidRequest: if a field is out of bounds.
        ModelNotPermitted: if the key may not use the model.
    """
    validate_context(order.context)
    if isinstance(order, ChatOrder):
        validate_input(order.input, may_be_empty=order.prompt is not None)
    else:
        validate_embedding_input(order.input)
    model = order.input.model
    if not caller.may_use(model):
        raise ModelNotPermitted(f"Your API key may not use the model '{model}'.", model=model)
    return Submission(
        kind=JobKind.CHAT if isinstance(order, ChatOrder) else JobKind.EMBEDDING,
        target=model,
        order=order,
        traceparent=traceparent,
        terms=JobTerms(priority=order.priority, deadline=_WANTED_FOR, result_ttl=kept),
    )


def fingerprinted(order: ChatOrder | EmbeddingOrder) -> bytes:
    """Return what an order asks, without what is another's each time it is sent."""
    own = {"request_id": "", "generation_id": "", "timeout": timedelta(), "priority": Priority.DEFAULT, "asker": None}
    return order_bytes(msgspec.structs.replace(order, **own))


def _with(asked: Submission, marked: Marked | None) -> Submission:
    if marked is None:
        return asked
    return msgspec.structs.replace(asked, mark=marked.mark, fingerprint=marked.fingerprint)

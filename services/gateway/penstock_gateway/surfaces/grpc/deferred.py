"""Calls for inference that carry an idempotency key: each is answered as any is, or as its first sending was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import timedelta
from typing import NamedTuple

import msgspec

from penstock_common.errors import DeadlineExceeded, PenstockError
from penstock_common.llm.types import Finished, GenerationEvent
from penstock_common.rpc.scope import Metadata
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.idempotency.calls import in_progress
from penstock_gateway.domain.idempotency.following import JobAnswer
from penstock_gateway.domain.idempotency.keys import Marks
from penstock_gateway.domain.idempotency.repeats import Joined, Repeats, fingerprinted, submission_of
from penstock_gateway.domain.jobs.job import Accepted
from penstock_gateway.domain.jobs.results import AnyResult, ChatResult
from penstock_gateway.domain.jobs.submission import Submission
from penstock_gateway.domain.life.order import Call, ChatOrder, EmbeddingOrder
from penstock_gateway.surfaces.arrival import replay_headers
from penstock_gateway.surfaces.grpc.arrival import admitted
from penstock_gateway.surfaces.grpc.chat_messages import LastTold


class RepeatedCalls(NamedTuple):
    """Makes calls for inference once. ``kept``: how long an answer is there for its repeats."""

    repeats: Repeats
    marks: Marks
    kept: timedelta

    def joined(
        self, made: Call[ChatOrder] | Call[EmbeddingOrder], call: ServerCall
    ) -> AbstractAsyncContextManager[Joined]:
        """Return the context of the answer to a call.

        Raises:
            InvalidRequest: if it cannot be made, or has no key.
            ModelNotPermitted: if the key may not use the model.
        """
        headers = admitted(call).arrival.headers
        marked = self.marks.of(made.caller, headers, call.path.encode(), fingerprinted(made.order))
        submission = submission_of(made.caller, made.order, made.trace.traceparent, self.kept)
        waited_for = msgspec.structs.replace(submission, unlisted=True)
        return self.repeats.joined(made.caller, waited_for, marked)

    async def submitted(self, caller: Caller, submission: Submission, call: ServerCall, said: bytes) -> Accepted:
        """Return the job that was, or is now, submitted by calls of one key; raises what ``Repeats.submitted`` raises."""
        marked = self.marks.of(caller, admitted(call).arrival.headers, call.path.encode(), said)
        return await self.repeats.submitted(caller, submission, marked, self.kept)


async def result_of_call(joined: Joined, made: Call[ChatOrder] | Call[EmbeddingOrder]) -> AnyResult:
    """Return what came of a call, within its own time."""
    try:
        async with asyncio.timeout(made.order.timeout.total_seconds()):
            return await joined.answer.whole()
    except TimeoutError:
        raise _overdue(joined) from None


async def batches_of_call(
    joined: Joined, made: Call[ChatOrder]
) -> AsyncGenerator[list[GenerationEvent | LastTold], None]:
    """Yield a call's events, within its own time."""
    try:
        async with asyncio.timeout(made.order.timeout.total_seconds()), aclosing(joined.answer.events()) as batches:
            async for batch in batches:
                # Its last event is told beside what was found for it.
                yield [_told(event, joined.answer) for event in batch]
    except TimeoutError:
        raise _overdue(joined) from None


def replay_head(joined: Joined, call: ServerCall) -> Metadata:
    """Return the head of an answer that was, or is, given to another call."""
    result = joined.answer.result
    cache = (("x-penstock-cache", str(result.cache)),) if isinstance(result, ChatResult) else ()
    request_id = admitted(call).arrival.request_id
    return (("x-request-id", request_id), *cache, *replay_headers(joined.answer.job.request_id))


def _told(event: GenerationEvent, answer: JobAnswer) -> GenerationEvent | LastTold:
    result = answer.result
    if isinstance(event, Finished) and isinstance(result, ChatResult) and result.knowledge is not None:
        return LastTold(event, result.knowledge)
    return event


def _overdue(joined: Joined) -> PenstockError:
    return DeadlineExceeded("The request's deadline passed.") if joined.is_original else in_progress()

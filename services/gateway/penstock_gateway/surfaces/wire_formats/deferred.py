"""Requests for inference whose head says more than that they want an answer now: under a key, later, or when it is their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from penstock_common.errors import DeadlineExceeded, PenstockError, QuotaExhausted, RateLimited
from penstock_gateway.domain.idempotency.calls import in_progress
from penstock_gateway.domain.idempotency.following import JobAnswer
from penstock_gateway.domain.idempotency.keys import KEY_HEADER, Marked, Marks
from penstock_gateway.domain.idempotency.repeats import Joined, Repeats, fingerprinted, submission_of
from penstock_gateway.domain.jobs.job import Job
from penstock_gateway.domain.jobs.results import ChatResult, EmbeddingResult
from penstock_gateway.domain.jobs.submission import Submission
from penstock_gateway.domain.life.chat import ChatExchange
from penstock_gateway.domain.life.embeddings import EmbeddingExchange
from penstock_gateway.domain.life.order import Call, ChatOrder, EmbeddingOrder
from penstock_gateway.surfaces.arrival import (
    EXPERIMENT_HEADER,
    KNOWLEDGE_HEADER,
    Arrival,
    dropped_names,
    replay_headers,
)
from penstock_gateway.surfaces.deferring import (
    JOBS_PATH,
    QUEUED_HEADER,
    Preference,
    due_after,
    preference_in,
    queues_when_limited,
    reason_of_limit,
)
from penstock_gateway.surfaces.http1.lines import printable
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, bill_lines, request_id_line
from penstock_gateway.surfaces.wire_formats.idempotency import canonical

_ACCEPTED = 202


class DeferringParts(NamedTuple):
    """What answers that may come later stand on.

    ``kept``: how long an answer is there for its repeats. ``result_ttl``: how long for whoever was sent to its job.
    ``deadline``: how long a request waits for its allowance at most.
    """

    repeats: Repeats
    marks: Marks
    kept: timedelta
    result_ttl: timedelta
    deadline: timedelta


class Wanted(NamedTuple):
    """What a head says."""

    has_key: bool
    preference: Preference
    queues: bool

    @property
    def is_job(self) -> bool:
        """Whether the request is one from the beginning; else it becomes one where a limit refuses it."""
        return self.has_key or self.preference.is_async


class Asked(NamedTuple):
    """A request that is to be a job, or joins one."""

    call: Call[ChatOrder] | Call[EmbeddingOrder]
    submission: Submission
    marked: Marked | None
    wanted: Wanted


def wanted_by(arrival: Arrival) -> Wanted:
    """Return what a head says; raises InvalidRequest for what means nothing."""
    headers = arrival.headers
    return Wanted(KEY_HEADER in headers, preference_in(headers), queues_when_limited(headers))


class Deferred:
    """What the servers of all such requests have in common."""

    def __init__(self, parts: DeferringParts) -> None:
        self._parts = parts

    def asked(
        self,
        call: Call[ChatOrder] | Call[EmbeddingOrder],
        arrival: Arrival,
        request: HttpRequest,
        body: bytes,
        wanted: Wanted,
    ) -> Asked:
        """Return a request as a job; raises what ``submission_of`` raises, and InvalidRequest for what is no key."""
        parts, marked = self._parts, None
        if wanted.has_key:
            marked = marked_by(parts.marks, call, arrival, (request, body))
        kept = parts.kept if not wanted.preference.is_async else max(parts.kept, parts.result_ttl)
        submission = submission_of(call.caller, call.order, call.trace.traceparent, kept)
        if not wanted.preference.is_async:
            submission = msgspec.structs.replace(submission, unlisted=True)
        return Asked(call, submission, marked, wanted)

    def joined(self, asked: Asked):  # noqa: ANN201 - the context of ``Repeats.joined``
        """Return the context of the answer to a request."""
        return self._parts.repeats.joined(asked.call.caller, asked.submission, asked.marked)

    async def accepted(self, asked: Asked, response: HttpResponse) -> bool:
        """Answer a request that does not wait at all with its job; return whether it was."""
        preference = asked.wanted.preference
        if not preference.is_async or preference.wait:
            return False
        job = await self._parts.repeats.queued(asked.call.caller, asked.submission, asked.marked)
        if job is not None:
            tell_job(response, asked.call.order.request_id, job, preference)
        return job is not None

    async def queue_refused(
        self, error: Exception, exchange: ChatExchange | EmbeddingExchange, arrival: Arrival, response: HttpResponse
    ) -> bool:
        """Answer a request that a limit has refused for now as ``queue`` does, if its head asks for that."""
        wanted, call = wanted_by(arrival), exchange.call
        if not wanted.queues or not isinstance(error, RateLimited | QuotaExhausted):
            return False
        submission = submission_of(call.caller, call.order, call.trace.traceparent, self._parts.kept)
        return await self.queue(error, Asked(call, submission, None, wanted), response)

    async def queue(self, error: Exception, asked: Asked, response: HttpResponse) -> bool:
        """Answer a request that a limit has refused for now with the job that waits for its allowance; return whether it was."""
        if response.is_begun or not isinstance(error, PenstockError):
            return False
        due = due_after(error, self._parts.deadline)
        if due is None:
            return False
        job = await self._queued(asked, due)
        if job is None:
            return False
        tell_job(response, asked.call.order.request_id, job, asked.wanted.preference, reason_of_limit(error))
        return True

    async def _queued(self, asked: Asked, due: datetime) -> Job | None:
        parts, submission = self._parts, asked.submission
        terms = msgspec.structs.replace(
            submission.terms, due_at=due, deadline=parts.deadline, result_ttl=max(parts.kept, parts.result_ttl)
        )
        # Who reads it later reads it from its events, too.
        later = msgspec.structs.replace(submission, terms=terms, unlisted=False)
        return await parts.repeats.queued(asked.call.caller, later, asked.marked)


def marked_by(
    marks: Marks, call: Call[ChatOrder] | Call[EmbeddingOrder], arrival: Arrival, sent: tuple[HttpRequest, bytes]
) -> Marked:
    """Return what a request that carries a key is known by; ``sent``: it, and its body, which it gives but once.

    Raises:
        InvalidRequest: as ``Marks.of``.
    """
    request, body = sent
    route = f"{request.method} {request.path} {request.deployment}".encode()
    said = canonical(body, arrival.headers.get("content-type", ""))
    return marks.of(call.caller, arrival.headers, route, said, fingerprinted(call.order))


async def came(awaitable: Awaitable[None], within: timedelta) -> bool:
    """Return whether something came within so long."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            await awaitable
    except TimeoutError:
        return False
    return True


def overdue(joined: Joined) -> PenstockError:
    """Return what is told of an answer that has not come within its request's own time."""
    return DeadlineExceeded("The request's deadline passed.") if joined.is_original else in_progress()


def tell_job(response: HttpResponse, request_id: str, job: Job, preference: Preference, reason: str = "") -> None:
    """Answer with the job that a request has become (RFC 7240, 4.1; RFC 9110, 15.3.3)."""
    lines = JSON_LINE + request_id_line(request_id) + f"location: {JOBS_PATH}{job.id}\r\nretry-after: 1\r\n".encode()
    if preference.applied:
        lines += f"preference-applied: {preference.applied}\r\n".encode()
    if reason:
        lines += f"{QUEUED_HEADER}: {printable(reason)}\r\n".encode("latin-1", "replace")
    told = {
        "id": job.id,
        "object": "job",
        "kind": job.kind.value,
        "status": job.state.value,
        "created_at": int(job.created_at.timestamp()),
        "due_at": int(job.due_at.timestamp()),
        "expires_at": int(job.deadline_at.timestamp()),
        "queued_reason": reason or None,
        "status_url": f"{JOBS_PATH}{job.id}",
        "result_url": f"{JOBS_PATH}{job.id}/result",
    }
    response.whole(_ACCEPTED, lines, msgspec.json.encode(told))


def replay_lines(arrival: Arrival, answer: JobAnswer) -> bytes:
    """Return what is known of an answer that was, or is, given to another request: it costs this one nothing."""
    told = {name: value for name, value in _told(answer).items() if value}
    told |= dict(replay_headers(answer.job.request_id))
    lines = "".join([f"{name}: {printable(value)}\r\n" for name, value in told.items()])
    return (
        request_id_line(arrival.request_id)
        + lines.encode("latin-1", "replace")
        + (bill_lines(0, 0.0) if answer.is_over else b"")
    )


def _told(answer: JobAnswer) -> dict[str, str]:
    started, result = answer.started, answer.result
    told: dict[str, str] = {}
    if started is not None:
        told["x-penstock-model"] = started.answered_by.model
        told["x-penstock-upstream"] = started.answered_by.upstream
        told["x-penstock-dropped"] = dropped_names(started.dropped)
    if isinstance(result, ChatResult):
        told["x-penstock-cache"] = str(result.cache)
        told["x-penstock-route"] = result.route
        told["x-penstock-prompt"] = result.prompt
        told["x-penstock-compressed"] = result.compressed
        told[EXPERIMENT_HEADER] = result.experiment
        told[KNOWLEDGE_HEADER] = result.searched
    elif isinstance(result, EmbeddingResult):
        told["x-penstock-model"], told["x-penstock-upstream"] = result.model, result.upstream
    return told

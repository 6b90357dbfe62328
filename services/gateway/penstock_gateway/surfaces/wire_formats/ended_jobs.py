"""How answers stand that are made in the background: their jobs say so, until their end is kept with them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import msgspec
import structlog

from penstock_common.errors import DeadlineExceeded, InternalError, PenstockError, ServiceUnavailable
from penstock_gateway.domain.idempotency.following import ErrorOf
from penstock_gateway.domain.jobs.job import Job, JobState
from penstock_gateway.domain.jobs.ports import JobStore
from penstock_gateway.domain.jobs.results import ChatResult, result_of
from penstock_gateway.domain.responses.ports import ResponseStore
from penstock_gateway.domain.responses.response import Content, Response, Status
from penstock_gateway.surfaces.wire_formats.format import AnswerForm, GenerationFormat, StateFormat
from penstock_gateway.surfaces.wire_formats.stateful_request import status_of

IN_PROGRESS = "in_progress"
_AT_ONCE = 100
_LOST = "The answer was not kept in time. Ask again."

_log = structlog.get_logger(__name__)


class End(NamedTuple):
    """How an answer ended, and what there is of it."""

    status: Status
    content: Content


class EndedJobs:
    """Keeps how answers of one format ended, once their jobs have."""

    def __init__(self, wire_format: GenerationFormat, store: ResponseStore, jobs: JobStore, error_of: ErrorOf) -> None:
        assert wire_format.state is not None, "a format whose answers can be kept"
        self._format = wire_format
        self._state: StateFormat = wire_format.state
        self._store = store
        self._jobs = jobs
        self._error_of = error_of

    async def settled(self, response: Response) -> Response:
        """Return an answer as it stands: ended, where its job has; else with a body that says how that stands."""
        if response.status is not Status.QUEUED:
            return response
        job = await self._jobs.get(response.tenant, response.job)
        if job is not None and not job.state.is_end:
            word = Status.QUEUED.value if job.state is JobState.QUEUED and not job.attempts else IN_PROGRESS
            body = self._snapshot(response, word)
            return msgspec.structs.replace(response, content=msgspec.structs.replace(response.content, body=body))
        end = self._failed(response, InternalError(_LOST)) if job is None else await self._end_of(response, job)
        await self._store.settle(response, end.status, end.content)
        return msgspec.structs.replace(response, status=end.status, content=end.content)

    def error(self, job: Job) -> PenstockError:
        """Return what a job failed by, for whoever asked for its answer."""
        told = None if job.error is None else self._error_of(job.error)
        if told is not None:
            return told
        if job.state is JobState.EXPIRED:
            return DeadlineExceeded("The response was not made before its deadline passed.")
        return InternalError("The response was begun several times, and never came to an end. Ask again.")

    def form_of(self, response: Response) -> AnswerForm:
        """Return how an answer is to be told that is still to come."""
        return msgspec.json.decode(response.content.form, type=self._state.form)

    async def sweep(self, every: timedelta) -> None:
        """Keep how jobs ended that nobody has looked at, again and again: jobs and their results are kept for less long."""
        while True:
            await asyncio.sleep(every.total_seconds())
            try:
                await self.sweep_once()
            except ServiceUnavailable:
                continue
            except Exception as error:  # noqa: BLE001 - nobody else would look after the others
                _log.error("responses_not_settled", exc_info=error)

    async def sweep_once(self) -> None:
        """Look once at all whose end is not kept."""
        after = ""
        while pending := await self._store.pending(after, _AT_ONCE):
            for response in pending:
                after = response.id
                with suppress(PenstockError):
                    await self.settled(response)

    async def _end_of(self, response: Response, job: Job) -> End:
        if job.state is JobState.CANCELLED:
            return self._ended(response, Status.CANCELLED, self._snapshot(response, Status.CANCELLED.value))
        if job.state is not JobState.SUCCEEDED:
            return self._failed(response, self.error(job))
        content = await self._jobs.result(job)
        result = None if content is None else result_of(job.kind, content)
        if not isinstance(result, ChatResult):
            return self._failed(response, InternalError(_LOST))
        return self._answered(response, result, 0 if job.ended_at is None else int(job.ended_at.timestamp()))

    def _answered(self, response: Response, result: ChatResult, ended_at: int) -> End:
        form, answer = self.form_of(response), result.answer
        created = int(response.created_at.timestamp())
        body = self._format.whole((answer,), response.id, created, msgspec.structs.replace(form, ended_at=ended_at))
        if result.knowledge is not None:
            body = self._format.with_knowledge(body, result.knowledge)
        status = status_of(body)
        output = self._state.output_items(answer, response.id, form)
        # Its form is kept: its stream may be asked for again.
        return End(status, msgspec.structs.replace(response.content, output=output, body=body))

    def _failed(self, response: Response, error: PenstockError) -> End:
        return self._ended(response, Status.FAILED, self._snapshot(response, Status.FAILED.value, error))

    def _ended(self, response: Response, status: Status, body: bytes) -> End:
        return End(status, msgspec.structs.replace(response.content, body=body))

    def _snapshot(self, response: Response, status: str, error: PenstockError | None = None) -> bytes:
        created = int(response.created_at.timestamp())
        return self._state.snapshot(response.id, created, self.form_of(response), status, error)

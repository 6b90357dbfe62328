"""Writes the files of a batch all of whose jobs have ended: each line's answer in one of two, and in one alone."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime

import structlog

from penstock_common.errors import InternalError, PenstockError
from penstock_gateway.domain.batches.batch import Batch, BatchState, Tokens
from penstock_gateway.domain.batches.files import OUTPUT, RESULTS, FileStore, FileWriter, KeptFile, new_file_id
from penstock_gateway.domain.batches.lines import Line, LineRefused, asked_in
from penstock_gateway.domain.batches.ports import (
    BatchStore,
    CarriedElsewhere,
    Conclusion,
    LineFormats,
    LineJob,
    LineResult,
    Told,
)
from penstock_gateway.domain.jobs.job import Job, JobState
from penstock_gateway.domain.jobs.results import AnyResult, ChatResult, EmbeddingResult, result_of

_LINES_AT_ONCE = 50
_BYTES_AT_ONCE = 4 * 1024 * 1024
_ID_BYTES = 16
_OK = 200
_log = structlog.get_logger(__name__)
CANCELLED, EXPIRED = "batch_cancelled", "batch_expired"
"""Why a line was not executed; OpenAI's words."""


class Closing:
    """Writes the files of batches."""

    def __init__(self, store: BatchStore, files: FileStore, formats: LineFormats) -> None:
        self._store = store
        self._files = files
        self._formats = formats

    async def written(self, batch: Batch, lines: AsyncIterator[Line], now: datetime) -> Conclusion:
        """Return how the batch ends, its files written and not published."""
        await self._store.clear_files(batch)
        output = self._writer(batch, "output", now)
        errors = self._writer(batch, "error", now) if self._formats.has_error_file(batch.surface) else output
        tally = _Tally(batch, output, errors)
        window: list[Line] = []
        size = 0
        async for line in lines:
            window.append(line)
            size += len(line.content)
            if len(window) == _LINES_AT_ONCE or size >= _BYTES_AT_ONCE:
                await self._write(batch, window, tally)
                window.clear()
                size = 0
        if window:
            await self._write(batch, window, tally)
        return Conclusion(
            state=tally.end,
            completed=tally.completed,
            failed=tally.failed,
            cancelled=tally.cancelled,
            lapsed=tally.lapsed,
            tokens=tally.tokens,
            output=await _whole(output),
            errors=None if errors is output else await _whole(errors),
        )

    async def _write(self, batch: Batch, lines: list[Line], tally: _Tally) -> None:
        jobs = {one.job.line: one for one in await self._store.jobs(batch, lines[0].number, lines[-1].number)}
        for line in lines:
            await self._write_line(batch, line, jobs.get(line.number), tally)

    async def _write_line(self, batch: Batch, line: Line, found: LineJob | None, tally: _Tally) -> None:
        try:
            asked = asked_in(line, batch.endpoint)
        except LineRefused:
            # It was cancelled before its lines were looked at: there is no id to answer this one under.
            return
        if not tally.is_new(asked.custom_id):
            return
        job = None if found is None else found.job
        line_id = _id_of(batch, line, job)
        told = await self._told(batch, line._replace(content=asked.body), found, tally)
        result = LineResult(line_id, asked.custom_id, line_id if job is None else job.request_id, told)
        await tally.count(self._formats.result(batch.surface, result) + b"\n", told)

    async def _told(self, batch: Batch, line: Line, found: LineJob | None, tally: _Tally) -> Told | str:
        """Return what a line is answered, or the code that says why it was not executed."""
        endpoint, formats, body = batch.endpoint, self._formats, line.content
        if found is None:
            return self._unasked(batch, line)
        job = found.job
        if job.state in (JobState.QUEUED, JobState.RUNNING):
            # It goes on since its batch was last looked at.
            raise CarriedElsewhere
        if job.state is JobState.SUCCEEDED:
            return await self._answered(batch, body, found, tally)
        if job.state is JobState.CANCELLED:
            return CANCELLED
        if job.state is JobState.EXPIRED or job.error is None:
            return EXPIRED
        return formats.refusal(endpoint, formats.error_of(job.error))

    async def _answered(self, batch: Batch, body: bytes, found: LineJob, tally: _Tally) -> Told:
        """Return what a line was answered. One that cannot be told keeps none of the others from it."""
        content = await found.opened()
        if content is None:
            return self._formats.refusal(batch.endpoint, InternalError())
        try:
            result = result_of(found.job.kind, content)
            told = Told(_OK, self._formats.answer(batch.endpoint, body, found.job, result))
            tokens = tokens_of(result)
        except Exception as error:  # noqa: BLE001 - it would be raised again at every attempt
            _log.error("batch_line_not_told", batch=batch.id, line=found.job.line, exc_info=error)
            return self._formats.refusal(batch.endpoint, InternalError())
        tally.tokens = tally.tokens.plus(tokens)
        return told

    def _unasked(self, batch: Batch, line: Line) -> Told | str:
        """Return what a line is answered that has no job: it was refused, was not read any more, or its job was deleted."""
        try:
            self._formats.read(batch.endpoint, line.content)
        except PenstockError as error:
            return self._formats.refusal(batch.endpoint, error)
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("batch_line_not_read", batch=batch.id, exc_info=error)
            return self._formats.refusal(batch.endpoint, InternalError())
        if line.number <= batch.read_lines:
            return self._formats.refusal(batch.endpoint, InternalError())
        if batch.cancelling_at is not None:
            return CANCELLED
        if batch.halted is not None:
            return self._formats.refusal(batch.endpoint, self._formats.error_of(batch.halted))
        return EXPIRED

    def _writer(self, batch: Batch, kind: str, now: datetime) -> FileWriter:
        file = KeptFile(
            id=new_file_id(now),
            tenant=batch.tenant,
            owner=batch.owner,
            purpose=OUTPUT if self._formats.has_error_file(batch.surface) else RESULTS,
            filename=f"{batch.id}_{kind}.jsonl",
            created_at=now,
            expires_at=None if batch.output_ttl is None else now + batch.output_ttl,
            batch=batch.id,
        )
        return FileWriter(self._files, file)


class _Tally:
    """What was written so far."""

    def __init__(self, batch: Batch, output: FileWriter, errors: FileWriter) -> None:
        self.output = output
        self.errors = errors
        self.completed = 0
        self.failed = 0
        self.cancelled = 0
        self.lapsed = 0
        """Of those that failed: not done before the end of the window."""
        self.tokens = Tokens()
        self._batch = batch
        self._ids: set[str] = set()

    def is_new(self, custom_id: str) -> bool:
        """Return whether that id was not answered before; of a batch that began, each is its line's own."""
        if self._batch.in_progress_at is not None:
            return True
        known = custom_id in self._ids
        self._ids.add(custom_id)
        return not known

    @property
    def end(self) -> BatchState:
        """How the batch ends."""
        if self._batch.cancelling_at is not None:
            return BatchState.CANCELLED
        return BatchState.EXPIRED if self.lapsed else BatchState.COMPLETED

    async def count(self, content: bytes, told: Told | str) -> None:
        """Write what came of a line."""
        if isinstance(told, Told) and told.status == _OK:
            self.completed += 1
            await self.output.write(content)
            return
        self.failed += 1
        self.cancelled += told == CANCELLED
        self.lapsed += told == EXPIRED
        await self.errors.write(content)


def tokens_of(result: AnyResult) -> Tokens:
    """Return what an answer used."""
    if isinstance(result, EmbeddingResult):
        return Tokens(input=result.input_tokens)
    used = result.usage if isinstance(result, ChatResult) else None
    if used is None:
        return Tokens()
    return Tokens(
        input=used.input_tokens,
        cached=used.cached_input_tokens,
        output=used.output_tokens,
        reasoning=used.reasoning_tokens,
    )


def _id_of(batch: Batch, line: Line, job: Job | None) -> str:
    text = f"{batch.id}/{line.number}" if job is None else job.id
    return f"batch_req_{hashlib.blake2b(text.encode(), digest_size=_ID_BYTES).hexdigest()}"


async def _whole(writer: FileWriter) -> tuple[KeptFile, int] | None:
    await writer.close()
    return (writer.file, writer.size_bytes) if writer.size_bytes else None

"""Carries a batch on, step by step: looks at its lines, makes jobs of them, waits for those, and has files written of all.

Every step may be the last of its process. What it did is kept in transactions
that only the newest attempt of the batch's job can make; what it did not, the
next one does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

import structlog

from penstock_common.errors import InvalidCredentials, PenstockError, ScopeMissing
from penstock_common.priority import Priority
from penstock_gateway.domain.access.asker import Asker
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.batches.batch import Batch, BatchState, LineFault
from penstock_gateway.domain.batches.closing import Closing
from penstock_gateway.domain.batches.files import CHUNK_BYTES, FileStore, KeptFile, pieces_of
from penstock_gateway.domain.batches.handing import Handing
from penstock_gateway.domain.batches.lines import (
    Inspection,
    Line,
    LineRefused,
    LineTooLong,
    Place,
    asked_in,
    lines_in,
)
from penstock_gateway.domain.batches.ports import (
    BatchStore,
    CarryTerms,
    FindCaller,
    LineCounts,
    LineFormats,
    Names,
    Submitted,
)
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.job import Job, JobState, NewJob, new_job_id
from penstock_gateway.domain.jobs.orders import order_bytes
from penstock_gateway.domain.jobs.retrying import job_error

_log = structlog.get_logger(__name__)

# Others in this process wait no longer than such a piece of work takes.
_YIELD_BYTES = 256 * 1024
_YIELD_LINES = 50
_ENDED_AT_ONCE = 500
_REQUEST_ID_BYTES, _GENERATION_ID_BYTES = 16, 12
_MOST_POLL = timedelta(seconds=15)
_JOBS_PER_SECOND_OF_POLL = 2_000
# Beyond the window, so that whoever waits longest for its results finds them.
_RESULTS_KEPT = timedelta(days=5)


class _Asking(NamedTuple):
    caller: Caller
    asker: Asker | None


class _Taken:
    """Lines that were read, and the jobs that they become."""

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        """Of what the jobs ask."""
        self._jobs: list[NewJob] = []
        self._last = Place()

    def add(self, line: Line, job: NewJob | None) -> None:
        """Take the next line."""
        self.lines += 1
        self._last = Place(line.number, line.end)
        if job is not None:
            self._jobs.append(job)
            self.bytes += len(job.order)

    @property
    def jobs(self) -> int:
        """How many jobs they become."""
        return len(self._jobs)

    @property
    def part(self) -> Submitted:
        """What is to be kept."""
        refused, last = self.lines - len(self._jobs), self._last
        return Submitted(jobs=self._jobs, lines=self.lines, refused=refused, read_to=last.bytes, read_lines=last.lines)


class BatchObserver(Protocol):
    """Counts; never raises, and returns at once."""

    def ended(self, state: BatchState, completed: int, failed: int) -> None:
        """See a batch end, with so many of its lines answered and not."""
        ...


class BatchCarrier:
    """Carries batches on."""

    def __init__(
        self,
        store: BatchStore,
        files: FileStore,
        formats: LineFormats,
        find_caller: FindCaller,
        shared: tuple[CarryTerms, Bell],
    ) -> None:
        self._store = store
        self._files = files
        self._formats = formats
        self._find_caller = find_caller
        self._terms, self._bell = shared
        self._closing = Closing(store, files, formats)
        self.handing: Handing | None = None
        """Who hands lines to providers; None: nobody does."""
        self.observer: BatchObserver | None = None
        """Who counts ends."""

    async def carry(self, batch_id: str, epoch: int, asker: Asker | None = None) -> datetime | None:
        """Do what there is to do now, and return when to look again; None where the batch has ended, or is gone.

        ``epoch`` is that of the attempt at the batch's job, ``asker`` whoever began the batch without a key of ours.

        Raises:
            CarriedElsewhere: if a later attempt does so; it need not be done here.
            PenstockError: what keeps it from being done.
        """
        while True:
            again: datetime | None = None
            batch = await self._store.take(batch_id, epoch)
            if batch is None or batch.state.is_end:
                return None
            if batch.state is BatchState.VALIDATING:
                await self._validate(batch)
            elif batch.state is BatchState.FINALIZING:
                again = await self._close(batch)
            else:
                again = await self._go_on(batch, asker)
            if again is not None:
                return again

    async def _go_on(self, batch: Batch, asker: Asker | None) -> datetime | None:
        """Have jobs begin, or end; return when to look again, None where the files can be written."""
        now, parked = datetime.now(UTC), 0
        if self.handing is not None:
            parked = await self.handing.carry(batch, (await self._store.count(batch)).open, now)
        if batch.state is BatchState.CANCELLING:
            more = True
            while more:
                more = await self._store.end_lines(batch, now, _ENDED_AT_ONCE) == _ENDED_AT_ONCE
        counts = await self._store.count(batch)
        is_whole = batch.state is BatchState.CANCELLING or batch.halted is not None or now >= batch.expires_at
        if not is_whole:
            is_whole = await self._submit(batch, self._terms.max_waiting - (counts.open - parked), asker)
            counts = await self._store.count(batch)
        if not is_whole or counts.open:
            return now + self._poll(counts)
        await self._store.finalize(batch, now)
        return None

    def _poll(self, counts: LineCounts) -> timedelta:
        longer = timedelta(seconds=sum(counts) / _JOBS_PER_SECOND_OF_POLL)
        return min(max(self._terms.poll, longer), max(_MOST_POLL, self._terms.poll))

    async def _validate(self, batch: Batch) -> None:
        file = await self._input(batch)
        inspection = Inspection(batch.endpoint, self._terms.max_lines)
        if file is not None:
            await self._inspect(file, inspection)
        now = datetime.now(UTC)
        if inspection.faults:
            await self._store.fail(batch, inspection.faults, now)
            self._ended(BatchState.FAILED, 0, 0)
        else:
            await self._store.begin(batch, inspection.lines, inspection.model, now)

    async def _inspect(self, file: KeptFile, inspection: Inspection) -> None:
        most = self._terms.max_line_bytes
        try:
            async with aclosing(_paused(lines_in(pieces_of(self._files, file), most))) as lines:
                await inspection.look_through(lines)
        except LineTooLong as long:
            text = f"The line is longer than {most} bytes, the most that a request may have."
            inspection.note(LineFault(code="line_too_long", message=text, line=long.number))

    async def _submit(self, batch: Batch, room: int, asker: Asker | None) -> bool:
        """Make jobs of the next lines while there is room; return whether all lines were read."""
        if batch.submitted >= batch.total:
            return True
        if room <= 0:
            return False
        file = await self._input(batch)
        try:
            caller = await self._find_caller(batch, asker)
        except (InvalidCredentials, ScopeMissing) as error:
            await self._store.halt(batch, job_error(error))
            return True
        if file is None:
            return True
        async with aclosing(self._parts(batch, file, room, _Asking(caller, asker))) as parts:
            async for part in parts:
                await self._store.submit(batch, part)
                self._bell.ring_queue()
                room -= len(part.jobs)
                if room <= 0:
                    return False
        return True

    async def _parts(self, batch: Batch, file: KeptFile, room: int, asking: _Asking) -> AsyncGenerator[Submitted]:
        number, within = divmod(batch.read_to, CHUNK_BYTES)
        pieces = _behind(pieces_of(self._files, file, number), within)
        lines = _paused(lines_in(pieces, start=Place(batch.read_lines, batch.read_to)))
        taken = _Taken()
        async with aclosing(lines):
            async for line in lines:
                taken.add(line, self._job_of(batch, line, asking))
                if self._is_full(taken) or taken.jobs == room:
                    yield taken.part
                    room -= taken.jobs
                    taken = _Taken()
        if taken.lines:
            yield taken.part

    def _is_full(self, taken: _Taken) -> bool:
        return taken.lines >= self._terms.lines_at_once or taken.bytes >= self._terms.bytes_at_once

    def _job_of(self, batch: Batch, line: Line, asking: _Asking) -> NewJob | None:
        """Return the job of a line; None where its endpoint would refuse it, as its answer will say."""
        try:
            asked = self._formats.read(batch.endpoint, asked_in(line, batch.endpoint).body)
        except (PenstockError, LineRefused):
            return None
        except Exception as error:  # noqa: BLE001 - it would be raised again at every attempt
            _log.error("batch_line_not_read", batch=batch.id, line=line.number, exc_info=error)
            return None
        now = datetime.now(UTC)
        names = Names(
            request_id=secrets.token_hex(_REQUEST_ID_BYTES),
            generation_id=secrets.token_hex(_GENERATION_ID_BYTES),
            tenant=batch.tenant,
            key_id=batch.key_id,
            timeout=batch.expires_at - now,
            asker=asking.asker,
        )
        order = asked.order(names)
        job = Job(
            owner=batch.owner,
            id=new_job_id(now),
            tenant=batch.tenant,
            key_id=batch.key_id,
            kind=asked.kind,
            target=asked.target,
            priority=max(Priority.SHEDDABLE, asking.caller.tenant.tier.priority),
            state=JobState.QUEUED,
            surface=order.surface,
            request_id=names.request_id,
            created_at=now,
            due_at=now,
            deadline_at=batch.expires_at,
            max_attempts=self._terms.max_attempts,
            result_ttl=(batch.expires_at - now) + _RESULTS_KEPT,
            batch=batch.id,
            line=line.number,
        )
        return NewJob(job=job, order=order_bytes(order))

    async def _close(self, batch: Batch) -> datetime | None:
        """Have the files written; return when to look again where somebody has made jobs of lines go on meanwhile."""
        now = datetime.now(UTC)
        counts = await self._store.count(batch)
        if counts.open:
            return now + self._poll(counts)
        file = await self._input(batch)
        pieces = _nothing() if file is None else pieces_of(self._files, file)
        async with aclosing(_paused(lines_in(pieces))) as lines:
            end = await self._closing.written(batch, lines, now)
        await self._store.conclude(batch, end, datetime.now(UTC))
        self._ended(end.state, end.completed, end.failed)
        return None

    def _ended(self, state: BatchState, completed: int, failed: int) -> None:
        if self.observer is not None:
            self.observer.ended(state, completed, failed)

    async def _input(self, batch: Batch) -> KeptFile | None:
        return await self._store.input_file(batch)


async def _paused(lines: AsyncIterator[Line]) -> AsyncGenerator[Line]:
    """Yield lines, with pauses for others."""
    size, count = 0, 0
    async for line in lines:
        yield line
        size, count = size + len(line.content), count + 1
        if size >= _YIELD_BYTES or count >= _YIELD_LINES:
            await asyncio.sleep(0)
            size = count = 0


async def _behind(pieces: AsyncIterator[bytes], skipped: int) -> AsyncGenerator[bytes]:
    async for piece in pieces:
        yield piece[skipped:]
        skipped = 0


async def _nothing() -> AsyncGenerator[bytes]:
    for piece in ():
        yield piece

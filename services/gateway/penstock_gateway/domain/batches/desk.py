"""What callers do with batches and their files: which they see, and what they may of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from penstock_common.errors import InvalidRequest, RateLimited, ResourceNotFound, ResourceState, ServiceUnavailable
from penstock_common.priority import Priority
from penstock_gateway.domain.access.asker import Asker, asker_of
from penstock_gateway.domain.access.identity import Caller, KeyScope
from penstock_gateway.domain.batches.batch import OPENAI, WINDOW, Batch, BatchState, new_batch_id
from penstock_gateway.domain.batches.files import (
    INPUT,
    PURPOSES,
    FileFilter,
    FileStore,
    FileWriter,
    KeptFile,
    is_here,
    new_file_id,
)
from penstock_gateway.domain.batches.ports import BatchFilter, BatchStore
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState, NewJob, new_job_id
from penstock_gateway.domain.jobs.orders import BatchOrder, order_bytes
from penstock_gateway.domain.jobs.terms import JobTerms, check_terms

TARGET = "batches"
"""Of the jobs that carry batches on."""
MIN_TTL, MAX_TTL = timedelta(hours=1), timedelta(days=30)
"""Of files, as at OpenAI."""
STORED_BYTES, OPEN_BATCHES = "stored_batch_bytes", "open_batches"
_GRACE = timedelta(days=5)
_KEPT = timedelta(hours=1)
# Its attempts are short and many; it must outlive whatever is wrong for as long as it may.
_MOST_ATTEMPTS = 1_000
_RETRY_AFTER = timedelta(minutes=1)


class DeskTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of what is kept. ``file_ttl``: of an uploaded file that says nothing."""

    enabled: bool = True
    max_file_bytes: int = 200 * 1024 * 1024
    max_stored_bytes: int = 10 * 1024**3
    """Of one tenant."""
    max_open: int = 100
    """Batches of one tenant that have not ended."""
    max_lines: int = 50_000
    max_line_bytes: int = 32 * 1024 * 1024
    file_ttl: timedelta = MAX_TTL


class BatchAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch is to be: ``input_file`` where it reads one that was uploaded, ``lines`` where its requests come with it."""

    surface: str = OPENAI
    """The format that it is begun in."""
    input_file: str = ""
    lines: int = 0
    endpoint: str
    window: str
    metadata: Mapping[str, str] = {}
    output_ttl: timedelta | None = None
    request_id: str = ""
    traceparent: str = ""


class BatchDesk:
    """Keeps files of batches, and begins and ends batches. A key sees what it made itself; with READ or ADMIN, its tenant's."""

    def __init__(
        self, files: FileStore, batches: BatchStore, bell: Bell, terms: DeskTerms, endpoints: Collection[str]
    ) -> None:
        self.files = files
        self.terms = terms
        self._batches = batches
        self._bell = bell
        self._endpoints = sorted(endpoints)

    # Files.

    async def new_file(self, caller: Caller, filename: str, ttl: timedelta | None) -> FileWriter:
        """Return what takes a file's content; it is there once ``keep`` was called.

        Raises:
            InvalidRequest: if it is to expire earlier or later than a file may.
            RateLimited: if the tenant's files take as much as they may.
        """
        check_ttl(ttl, "expires_after.seconds")
        return await self._writer(caller, filename, datetime.now(UTC) + (ttl or self.terms.file_ttl))

    async def new_input(self, caller: Caller, filename: str) -> FileWriter:
        """Return what takes the requests that come with a batch, which is begun by ``begin``.

        Raises:
            RateLimited: if the tenant's files take as much as they may.
        """
        return await self._writer(caller, filename, None)

    async def _writer(self, caller: Caller, filename: str, expires_at: datetime | None) -> FileWriter:
        self._check_enabled()
        stored = await self.files.stored_bytes(caller.tenant.name)
        if stored >= self.terms.max_stored_bytes:
            text = (
                f"Your tenant's batch files take {stored} bytes, of {self.terms.max_stored_bytes} at most. Delete some."
            )
            raise RateLimited(text, limit=STORED_BYTES, retry_after=_RETRY_AFTER)
        now = datetime.now(UTC)
        file = KeptFile(
            id=new_file_id(now),
            tenant=caller.tenant.name,
            owner=caller.counted_key_id,
            purpose=INPUT,
            filename=filename,
            created_at=now,
            expires_at=expires_at,
        )
        return FileWriter(self.files, file)

    async def keep(self, writer: FileWriter) -> KeptFile:
        """Have a file be there, all of whose content was written."""
        await writer.close()
        return await self.files.publish(writer.file, writer.size_bytes)

    async def file(self, caller: Caller, file_id: str) -> KeptFile:
        """Return a file.

        Raises:
            ResourceNotFound: if the caller sees none of that id.
        """
        found = await self.files.get(caller.tenant.name, file_id, datetime.now(UTC))
        if found is None or found.purpose not in PURPOSES or not sees(caller, found.owner):
            raise ResourceNotFound(f"There is no file '{file_id[:128]}'.", kind="file", name=file_id)
        return found

    async def list_files(self, caller: Caller, wanted: FileFilter, limit: int) -> Sequence[KeptFile]:
        """Return those that the caller sees."""
        own = "" if sees_all(caller) else caller.counted_key_id
        return await self.files.list(msgspec.structs.replace(wanted, owner=own), limit, datetime.now(UTC))

    async def delete_file(self, caller: Caller, file_id: str) -> None:
        """Have a file be there no more. A batch that reads it has it until its end.

        Raises:
            ResourceNotFound: if the caller may not, or sees none of that id.
        """
        found = await self.file(caller, file_id)
        if not may_change(caller, found.owner) or not await self.files.delete(caller.tenant.name, file_id):
            raise ResourceNotFound(f"There is no file '{file_id[:128]}'.", kind="file", name=file_id)

    # Batches.

    async def create(self, caller: Caller, asked: BatchAsked) -> Batch:
        """Begin a batch; what is wrong with its lines is told later.

        Raises:
            InvalidRequest: if it cannot be begun.
            RateLimited: if the tenant has as many under way as it may.
            ServiceUnavailable: if there are no batches here.
        """
        self._check_enabled()
        self._check(asked)
        file = None
        if is_here(asked.input_file):
            file = await self.files.get(caller.tenant.name, asked.input_file, datetime.now(UTC))
        if file is None or not sees(caller, file.owner):
            text = f"There is no file '{asked.input_file[:128]}' of purpose '{INPUT}'."
            raise InvalidRequest(text, field="input_file_id")
        if file.purpose != INPUT:
            text = f"The file '{file.id}' has the purpose '{file.purpose}'; '{INPUT}' is expected."
            raise InvalidRequest(text, field="input_file_id")
        batch = _new_batch(caller, asked, file.id)
        await self._keep(caller, batch, asked)
        return batch

    async def begin(self, caller: Caller, asked: BatchAsked, requests: FileWriter) -> Batch:
        """Begin a batch whose requests came with it, and were looked at; nobody else ever sees their file.

        Raises:
            RateLimited, ServiceUnavailable: as ``create``.
        """
        self._check_enabled()
        await requests.close()
        batch = _new_batch(caller, asked, requests.file.id)
        await self._keep(caller, batch, asked, requests.size_bytes)
        return batch

    async def _keep(self, caller: Caller, batch: Batch, asked: BatchAsked, own_bytes: int | None = None) -> None:
        carrier = _carrier(batch, asked.traceparent, asker_of(caller))
        await self._batches.create(batch, carrier, self.terms.max_open, own_bytes)
        self._bell.ring_queue()

    async def get(self, caller: Caller, batch_id: str, surface: str = OPENAI) -> Batch:
        """Return a batch that was begun in a format.

        Raises:
            ResourceNotFound: if the caller sees none of that id.
        """
        found = await self._batches.get(caller.tenant.name, batch_id)
        if found is None or found.surface != surface or not sees(caller, found.owner):
            raise no_batch(batch_id)
        return found

    async def list(self, caller: Caller, wanted: BatchFilter, limit: int) -> Sequence[Batch]:
        """Return those that the caller sees, the newest first."""
        own = "" if sees_all(caller) else caller.counted_key_id
        mine = msgspec.structs.replace(wanted, tenant=caller.tenant.name, owner=own)
        return await self._batches.list(mine, limit)

    async def cancel(self, caller: Caller, batch_id: str, surface: str = OPENAI) -> Batch:
        """Have a batch end: what is done stays, what runs is ended, and what waits is not begun.

        Raises:
            ResourceNotFound: if the caller may not, or sees none of that id.
            ResourceState: if it has ended.
        """
        found = await self._changeable(caller, batch_id, surface)
        if found.state.is_end:
            raise ResourceState(f"Cannot cancel a batch with status '{found.state}'.")
        cancelled = await self._batches.cancel(caller.tenant.name, batch_id, datetime.now(UTC))
        if cancelled is None:
            raise no_batch(batch_id)
        self._bell.ring_queue()
        return cancelled

    async def delete(self, caller: Caller, batch_id: str, surface: str) -> None:
        """Forget a batch that has ended, and its results.

        Raises:
            ResourceNotFound: if the caller may not, or sees none of that id.
            ResourceState: if it has not ended.
        """
        found = await self._changeable(caller, batch_id, surface)
        if not found.state.is_end:
            raise ResourceState("Only a batch that has ended can be deleted: cancel it first, and wait for its end.")
        if not await self._batches.delete(caller.tenant.name, batch_id):
            raise no_batch(batch_id)

    async def results(self, caller: Caller, batch_id: str, surface: str) -> KeptFile:
        """Return the file of a batch's results, which is its own.

        Raises:
            ResourceNotFound: if the caller sees no such batch, or its results are kept no more.
            ResourceState: if it has not ended.
        """
        found = await self.get(caller, batch_id, surface)
        if not found.state.is_end:
            raise ResourceState("The batch has not ended: its results are there once it has.")
        file = None
        if found.output_file:
            file = await self.files.get(found.tenant, found.output_file, datetime.now(UTC))
        if file is None:
            raise ResourceNotFound("The results of the batch are kept no more.", kind="results", name=batch_id)
        return file

    async def _changeable(self, caller: Caller, batch_id: str, surface: str) -> Batch:
        found = await self.get(caller, batch_id, surface)
        if not may_change(caller, found.owner):
            raise no_batch(batch_id)
        return found

    def _check_enabled(self) -> None:
        if not self.terms.enabled:
            raise ServiceUnavailable("This deployment has no batches: 'jobs.enabled' is off.", service="jobs")

    def _check(self, asked: BatchAsked) -> None:
        if asked.endpoint not in self._endpoints:
            raise InvalidRequest(f"'endpoint' must be one of {', '.join(self._endpoints)}.", field="endpoint")
        if asked.window != "24h":
            raise InvalidRequest("'completion_window' must be '24h'.", field="completion_window")
        check_ttl(asked.output_ttl, "output_expires_after.seconds")
        check_terms(JobTerms(metadata=asked.metadata), datetime.now(UTC))


def sees_all(caller: Caller) -> bool:
    """Return whether a caller sees what other keys of its tenant made."""
    return not caller.scopes.isdisjoint((KeyScope.READ, KeyScope.ADMIN))


def sees(caller: Caller, owner: str) -> bool:
    """Return whether a caller sees what that key of its tenant made, or one that it was rotated from."""
    return owner == caller.counted_key_id or sees_all(caller)


def may_change(caller: Caller, owner: str) -> bool:
    """Return whether a caller may delete or cancel what that key of its tenant made, or one that it was rotated from."""
    return owner == caller.counted_key_id or KeyScope.ADMIN in caller.scopes


def check_ttl(ttl: timedelta | None, field: str) -> None:
    """Check after what time a file is to expire.

    Raises:
        InvalidRequest: if that is less than an hour or more than 30 days.
    """
    if ttl is not None and not MIN_TTL <= ttl <= MAX_TTL:
        least, most = MIN_TTL // timedelta(seconds=1), MAX_TTL // timedelta(seconds=1)
        raise InvalidRequest(f"'{field}' must be {least} to {most}.", field=field)


def _new_batch(caller: Caller, asked: BatchAsked, input_file: str) -> Batch:
    now = datetime.now(UTC)
    return Batch(
        id=new_batch_id(now),
        tenant=caller.tenant.name,
        key_id=caller.key_id,
        owner=caller.counted_key_id,
        job=new_job_id(now),
        surface=asked.surface,
        total=asked.lines,
        endpoint=asked.endpoint,
        input_file=input_file,
        state=BatchState.VALIDATING,
        created_at=now,
        expires_at=now + WINDOW,
        output_ttl=asked.output_ttl,
        metadata=asked.metadata,
        request_id=asked.request_id,
    )


def _carrier(batch: Batch, traceparent: str, asker: Asker | None) -> NewJob:
    order = BatchOrder(
        request_id=batch.request_id,
        generation_id=batch.job,
        surface=batch.surface,
        tenant=batch.tenant,
        key_id=batch.key_id,
        timeout=WINDOW,
        asker=asker,
        batch=batch.id,
    )
    job = Job(
        id=batch.job,
        tenant=batch.tenant,
        key_id=batch.key_id,
        owner=batch.owner,
        kind=JobKind.BATCH,
        target=TARGET,
        priority=Priority.DEFAULT,
        state=JobState.QUEUED,
        surface=order.surface,
        request_id=batch.request_id,
        created_at=batch.created_at,
        due_at=batch.created_at,
        deadline_at=batch.expires_at + _GRACE,
        max_attempts=_MOST_ATTEMPTS,
        result_ttl=_KEPT,
        traceparent=traceparent,
        metadata=batch.metadata,
    )
    return NewJob(job=job, order=order_bytes(order))


def no_batch(batch_id: str) -> ResourceNotFound:
    """Return why a batch is not found, whether it is another's or nobody's."""
    return ResourceNotFound(f"There is no batch '{batch_id[:128]}'.", kind="batch", name=batch_id)

"""Batches in SQL, as callers have them and as they are carried on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace
from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.errors import InvalidRequest, RateLimited, ServiceUnavailable
from penstock_gateway.adapters.sql.batches.changing import change
from penstock_gateway.adapters.sql.batches.files import forget, leave, publish
from penstock_gateway.adapters.sql.batches.handed import forget_handed
from penstock_gateway.adapters.sql.batches.lines import (
    counts_of_lines,
    end_waiting_lines,
    jobs_of_lines,
    keep_jobs,
    let_results_go,
    sealed_orders,
    wake,
)
from penstock_gateway.adapters.sql.batches.rows import (
    BEGUN,
    GONE,
    KEPT,
    LEFT,
    batch_of,
    batch_values,
    errors_place,
    faults_bytes,
    file_of,
    halted_values,
    token_values,
)
from penstock_gateway.adapters.sql.batches.tables import batches, files
from penstock_gateway.adapters.sql.collation import by_bytes
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import ms_of
from penstock_gateway.adapters.sql.jobs.tables import jobs
from penstock_gateway.adapters.sql.webhooks.store import add_delivery
from penstock_gateway.domain.batches.batch import Batch, BatchState, LineFault
from penstock_gateway.domain.batches.desk import OPEN_BATCHES
from penstock_gateway.domain.batches.files import KeptFile
from penstock_gateway.domain.batches.ports import (
    BatchFilter,
    CarriedElsewhere,
    Conclusion,
    LineCounts,
    LineJob,
    Submitted,
)
from penstock_gateway.domain.batches.telling import TellBatch, nobody
from penstock_gateway.domain.jobs.job import JobError, JobState, NewJob

_BATCH = batches.c
_RETRY_AFTER = timedelta(minutes=1)
_MAY_BE_CANCELLED = (BatchState.VALIDATING.value, BatchState.IN_PROGRESS.value)


class SqlBatches:
    """Implements ``BatchStore``."""

    def __init__(self, database: JobDatabase, tell: TellBatch = nobody) -> None:
        self._database = database
        self._tell = tell

    async def create(self, batch: Batch, carrier: NewJob, most_open: int, own_bytes: int | None = None) -> None:
        """Keep a new batch; see the port."""
        orders = sealed_orders(self._database, (carrier,))
        async with self._database.writing() as connection:
            query = select(func.count()).where(_BATCH.tenant == batch.tenant, _BATCH.is_open)
            count = (await connection.execute(query)).scalar() or 0
            if count >= most_open:
                text = f"Your tenant has {count} batches that have not ended, of {most_open} at most."
                raise RateLimited(text, limit=OPEN_BATCHES, retry_after=_RETRY_AFTER)
            await _bind_input(connection, batch, own_bytes)
            await connection.execute(insert(batches).values(batch_values(batch)))
            await keep_jobs(connection, self._database, (carrier,), orders)

    async def get(self, tenant: str, batch_id: str) -> Batch | None:
        """Return a batch; see the port."""
        which = [_BATCH.id == batch_id, *([_BATCH.tenant == tenant] if tenant else [])]
        async with self._database.reading() as connection:
            row = (await connection.execute(select(batches).where(*which))).first()
        return None if row is None else batch_of(row, self._database.sealer)

    async def input_file(self, batch: Batch) -> KeptFile | None:
        """Return the file that a batch reads; see the port."""
        own = (files.c.id == batch.input_file, files.c.tenant == batch.tenant)
        query = select(files).where(*own, files.c.state != LEFT)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else file_of(row)

    async def list(self, wanted: BatchFilter, limit: int) -> Sequence[Batch]:
        """Return batches; see the port."""
        async with self._database.reading() as connection:
            by_id = by_bytes(_BATCH.id, connection.dialect.name)
            conditions: list[ColumnElement[bool]] = [_BATCH.tenant == wanted.tenant]
            if wanted.owner:
                conditions.append(_BATCH.owner == wanted.owner)
            if wanted.surface:
                conditions.append(_BATCH.surface == wanted.surface)
            is_backwards = bool(wanted.before and not wanted.after)
            if wanted.after:
                conditions.append(by_id < wanted.after)
            elif is_backwards:
                conditions.append(by_id > wanted.before)
            order = by_id.asc() if is_backwards else by_id.desc()
            rows = (await connection.execute(select(batches).where(*conditions).order_by(order).limit(limit))).all()
        found = [batch_of(row, self._database.sealer) for row in rows]
        return found[::-1] if is_backwards else found

    async def delete(self, tenant: str, batch_id: str) -> bool:
        """Forget a batch that has ended; see the port."""
        which = (_BATCH.id == batch_id, _BATCH.tenant == tenant, ~_BATCH.is_open)
        async with self._database.writing() as connection:
            if (await connection.execute(delete(batches).where(*which))).rowcount == 0:
                return False
            left = await leave(connection, (files.c.batch == batch_id, files.c.tenant == tenant))
        await forget(self._database, left)
        return True

    async def cancel(self, tenant: str, batch_id: str, now: datetime) -> Batch | None:
        """Have one be cancelled; see the port."""
        which = (_BATCH.id == batch_id, _BATCH.tenant == tenant)
        values = {"state": BatchState.CANCELLING.value, "cancelling_ms": ms_of(now)}
        async with self._database.writing() as connection:
            open_ones = (*which, _BATCH.state.in_(_MAY_BE_CANCELLED))
            await connection.execute(update(batches).where(*open_ones).values(values))
            row = (await connection.execute(select(batches).where(*which))).first()
            if row is None:
                return None
            waits = (jobs.c.id == row.job, jobs.c.state == JobState.QUEUED.value, jobs.c.due_ms > ms_of(now))
            await connection.execute(update(jobs).where(*waits).values(due_ms=ms_of(now)))
        return batch_of(row, self._database.sealer)

    async def take(self, batch_id: str, epoch: int) -> Batch | None:
        """Have the job of that epoch carry a batch on; see the port."""
        mine = update(batches).where(_BATCH.id == batch_id, _BATCH.epoch <= epoch).values(epoch=epoch)
        async with self._database.writing() as connection:
            row = (await connection.execute(mine.returning(*_BATCH))).first()
            if row is None and (await connection.execute(select(_BATCH.id).where(_BATCH.id == batch_id))).first():
                raise CarriedElsewhere
        return None if row is None else batch_of(row, self._database.sealer)

    async def begin(self, batch: Batch, total: int, model: str, now: datetime) -> None:
        """Have a batch be in progress; see the port."""
        values = {
            "state": BatchState.IN_PROGRESS.value,
            "in_progress_ms": ms_of(now),
            "total": total,
            "model": model[:256],
        }
        async with self._database.writing() as connection:
            await change(connection, batch, values, BatchState.VALIDATING)

    async def fail(self, batch: Batch, faults: Sequence[LineFault], now: datetime) -> None:
        """End a batch; see the port."""
        place = errors_place(batch.id)
        values = {
            "state": BatchState.FAILED.value,
            "failed_ms": ms_of(now),
            "is_open": False,
            "errors": self._database.sealer.seal(batch.tenant, place, faults_bytes(faults)),
        }
        async with self._database.writing() as connection:
            await change(connection, batch, values, BatchState.VALIDATING)
            await self._tell_of(connection, batch, BatchState.FAILED, now)

    async def submit(self, batch: Batch, part: Submitted) -> None:
        """Keep jobs of the next lines; see the port."""
        values = {
            "submitted": _BATCH.submitted + part.lines,
            "refused": _BATCH.refused + part.refused,
            "failed": _BATCH.failed + part.refused,
            "read_to": part.read_to,
            "read_lines": part.read_lines,
        }
        orders = sealed_orders(self._database, part.jobs)
        async with self._database.writing() as connection:
            await change(connection, batch, values, BatchState.IN_PROGRESS)
            if part.jobs:
                await keep_jobs(connection, self._database, part.jobs, orders)

    async def halt(self, batch: Batch, why: JobError) -> None:
        """Have no further lines become jobs; see the port."""
        async with self._database.writing() as connection:
            await change(connection, batch, halted_values(why), BatchState.IN_PROGRESS)

    async def end_lines(self, batch: Batch, now: datetime, limit: int) -> int:
        """Cancel jobs of lines; see the port."""
        async with self._database.writing() as connection:
            await change(connection, batch, {}, BatchState.CANCELLING)
            return await end_waiting_lines(connection, self._database, batch.id, now, limit)

    async def count(self, batch: Batch) -> LineCounts:
        """Return how the jobs of lines stand; see the port."""
        async with self._database.reading() as connection:
            counts = await counts_of_lines(connection, batch.id)
        values = {"completed": counts.succeeded, "failed": _BATCH.refused + counts.failed}
        if (counts.succeeded, batch.refused + counts.failed) != (batch.completed, batch.failed):
            async with self._database.writing() as connection:
                await change(connection, batch, values, batch.state, may_differ=True)
        return counts

    async def finalize(self, batch: Batch, now: datetime) -> None:
        """Have a batch be finalizing; see the port."""
        values = {"state": BatchState.FINALIZING.value, "finalizing_ms": ms_of(now)}
        async with self._database.writing() as connection:
            await change(connection, batch, values, batch.state)

    async def clear_files(self, batch: Batch) -> None:
        """Delete what earlier attempts wrote; see the port."""
        async with self._database.writing() as connection:
            await change(connection, batch, {}, BatchState.FINALIZING)
            left = await leave(connection, (files.c.batch == batch.id, files.c.state == BEGUN))
        await forget(self._database, left)

    async def jobs(self, batch: Batch, first: int, last: int) -> Sequence[LineJob]:
        """Return the jobs of lines; see the port."""
        async with self._database.reading() as connection:
            return await jobs_of_lines(connection, self._database, batch.id, (first, last))

    async def carry_again(self, now: datetime, limit: int) -> int:
        """Have jobs go on that ended before their batches did; see the port."""
        has_ended = jobs.c.state.not_in((JobState.QUEUED.value, JobState.RUNNING.value))
        query = select(_BATCH.id, jobs.c.id.label("job"), jobs.c.state.label("job_state"))
        left = query.join(jobs, jobs.c.id == _BATCH.job).where(_BATCH.is_open, has_ended).limit(limit)
        async with self._database.writing() as connection:
            rows = (await connection.execute(left)).all()
            for row in rows:
                if row.job_state == JobState.CANCELLED.value:
                    open_ones = (_BATCH.id == row.id, _BATCH.state.in_(_MAY_BE_CANCELLED))
                    values = {"state": BatchState.CANCELLING.value, "cancelling_ms": ms_of(now)}
                    await connection.execute(update(batches).where(*open_ones).values(values))
                await wake(connection, self._database, row.job, now)
        return len(rows)

    async def conclude(self, batch: Batch, end: Conclusion, now: datetime) -> None:
        """End a batch; see the port."""
        values = {
            "state": end.state.value,
            f"{end.state.value}_ms": ms_of(now),
            "is_open": False,
            # Of one that was cancelled before its file was looked through, nobody has counted them.
            "total": max(batch.total, end.completed + end.failed),
            "completed": end.completed,
            "failed": end.failed,
            "cancelled_lines": end.cancelled,
            "lapsed_lines": end.lapsed,
            "output_file": end.output[0].id if end.output else "",
            "error_file": end.errors[0].id if end.errors else "",
            **token_values(end.tokens),
        }
        async with self._database.writing() as connection:
            await change(connection, batch, values, BatchState.FINALIZING)
            for written in (end.output, end.errors):
                if written is not None:
                    await publish(connection, *written)
            # What an attempt before this one began too late for it to be cleared.
            left = await leave(connection, (files.c.batch == batch.id, files.c.state == BEGUN))
            await let_results_go(connection, batch.id, now)
            await forget_handed(connection, batch.id)
            await self._tell_of(connection, batch, end.state, now)
        await forget(self._database, left)

    async def _tell_of(self, connection: AsyncConnection, batch: Batch, end: BatchState, now: datetime) -> None:
        for delivery in self._tell(replace(batch, state=end), now):
            await add_delivery(connection, delivery)


async def _bind_input(connection: AsyncConnection, batch: Batch, own_bytes: int | None) -> None:
    """Have a new batch's file stay for it until its end: one that is there, or its own, which only it ever sees."""
    if own_bytes is not None:
        own = update(files).where(files.c.id == batch.input_file, files.c.state == BEGUN)
        if (await connection.execute(own.values(state=GONE, bytes=own_bytes))).rowcount == 0:
            raise ServiceUnavailable("The requests took too long to come. Try again.", service="sql")
        return
    # Whoever deletes it waits for this row, and so finds the batch.
    there = select(files.c.id).where(files.c.id == batch.input_file, files.c.state == KEPT).with_for_update()
    if (await connection.execute(there)).first() is None:
        raise InvalidRequest(f"There is no file '{batch.input_file}' any more.", field="input_file_id")

"""Lines of batches that providers are handed, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock_common.contract.upstream_batches import KeptAnswer, UpstreamBatchAnswer, UpstreamBatchLine
from penstock_common.llm.types import Candidate, UnsupportedFields
from penstock_gateway.adapters.sql.batches.changing import change
from penstock_gateway.adapters.sql.batches.tables import batches, handed, parts
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.rows import moment_of, ms_of
from penstock_gateway.adapters.sql.jobs.tables import jobs
from penstock_gateway.domain.batches.batch import Batch, BatchState
from penstock_gateway.domain.batches.handing import AskedLine, HandedLine, LineState, Part, Waiting
from penstock_gateway.domain.jobs.job import Job, JobState

_LINE, _PART = handed.c, parts.c
_ENCODER, _ASKED = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(AskedLine)
_TOGETHER = 500
# Its job waits: whoever parks it has let it go.
_READY = (_LINE.job == jobs.c.id, _LINE.state == LineState.WAITING.value, jobs.c.state == JobState.QUEUED.value)


class SqlHandedLines:
    """Implements ``HandedStore``."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    async def find(self, job: Job) -> HandedLine | None:
        """Return how the line of a job stands; see the port."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(handed).where(_LINE.job == job.id))).first()
        if row is None:
            return None
        state, kept = LineState(row.state), None
        if state is LineState.ANSWERED:
            body = self._database.sealer.open(row.tenant, _answer_place(row.job), row.answer)
            kept = KeptAnswer(row.status, body)
        return HandedLine(state, Candidate(upstream=row.upstream, model=row.model), kept)

    async def park(self, job: Job, asked: AskedLine, now: datetime) -> None:
        """Keep what a line asks; see the port."""
        content = _ENCODER.encode(asked)
        values = {
            "job": job.id,
            "batch": job.batch,
            "tenant": job.tenant,
            "state": LineState.WAITING.value,
            "part": "",
            "upstream": asked.candidate.upstream,
            "model": asked.candidate.model,
            "unsupported": asked.unsupported.name,
            "asked_bytes": len(content),
            "parked_ms": ms_of(now),
            "asked": self._database.sealer.seal(job.tenant, _asked_place(job.id), content),
            "status": 0,
        }
        async with self._database.writing() as connection:
            # An attempt that was lost may have kept it.
            await connection.execute(delete(handed).where(_LINE.job == job.id, _LINE.state == LineState.WAITING.value))
            await connection.execute(insert(handed).values(values))

    async def leave_alone(self, job: Job) -> None:
        """Have a line be asked by itself; see the port."""
        values = {"state": LineState.ALONE.value, "asked": None, "answer": None}
        async with self._database.writing() as connection:
            await connection.execute(update(handed).where(_LINE.job == job.id).values(values))

    async def waiting(self, batch: Batch) -> Waiting:
        """Return what waits; see the port."""
        ready = select(func.count(), func.min(_LINE.parked_ms)).where(_LINE.batch == batch.id, *_READY)
        mine = (_LINE.batch == batch.id, _LINE.state.in_((LineState.WAITING.value, LineState.HANDED.value)))
        async with self._database.reading() as connection:
            count, since_ms = (await connection.execute(ready)).one()
            parked = (await connection.execute(select(func.count()).where(*mine))).scalar() or 0
        return Waiting(count, parked, None if since_ms is None else moment_of(since_ms))

    async def parts(self, batch: Batch) -> Sequence[Part]:
        """Return the parts that have not ended; see the port."""
        query = select(parts).where(_PART.batch == batch.id, _PART.is_open).order_by(_PART.prepared_ms, _PART.id)
        async with self._database.reading() as connection:
            return [_part_of(row) for row in (await connection.execute(query)).all()]

    async def prepare(self, batch: Batch, part_id: str, most: tuple[int, int], now: datetime) -> Part | None:
        """Make a part of lines that wait; see the port."""
        most_lines, most_bytes = most
        of_one = (_LINE.upstream, _LINE.model, _LINE.unsupported)
        async with self._database.writing() as connection:
            await change(connection, batch, {}, batch.state)
            first = select(*of_one).where(_LINE.batch == batch.id, *_READY).order_by(_LINE.parked_ms, _LINE.job)
            kind = (await connection.execute(first.limit(1))).first()
            if kind is None:
                return None
            same = [column == value for column, value in zip(of_one, kind, strict=True)]
            query = select(_LINE.job, _LINE.asked_bytes).where(_LINE.batch == batch.id, *_READY, *same)
            rows = (await connection.execute(query.order_by(_LINE.parked_ms, _LINE.job).limit(most_lines))).all()
            taken, size = list[str](), 0
            for row in rows:
                size += row.asked_bytes
                if taken and size > most_bytes:
                    break
                taken.append(row.job)
            part = Part(
                id=part_id,
                candidate=Candidate(upstream=kind.upstream, model=kind.model),
                unsupported=UnsupportedFields[kind.unsupported],
                prepared_at=now,
                next_at=now,
            )
            await connection.execute(insert(parts).values(_values_of(batch, part)))
            for some in _several(taken):
                values = {"part": part_id, "state": LineState.HANDED.value}
                await connection.execute(update(handed).where(_LINE.job.in_(some)).values(values))
        return part

    async def tried(self, batch: Batch, part: Part) -> None:
        """Note that the provider is about to be asked; see the port."""
        async with self._database.writing() as connection:
            await change(connection, batch, {}, batch.state)
            await connection.execute(update(parts).where(_PART.id == part.id).values(tries=_PART.tries + 1))

    async def lines(self, batch: Batch, part: Part) -> Sequence[UpstreamBatchLine]:
        """Return what the lines of a part ask; see the port."""
        query = select(_LINE.job, _LINE.asked).where(_LINE.part == part.id, _LINE.state == LineState.HANDED.value)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(_LINE.parked_ms, _LINE.job))).all()
        open_sealed, tenant = self._database.sealer.open, batch.tenant
        return [
            UpstreamBatchLine(row.job, _ASKED.decode(open_sealed(tenant, _asked_place(row.job), row.asked)).input)
            for row in rows
        ]

    async def begun(self, batch: Batch, part: Part, upstream_id: str, refused: Sequence[str], now: datetime) -> None:
        """Note under which id the provider has a part; see the port."""
        mine = (_LINE.part == part.id, _LINE.state == LineState.HANDED.value)
        async with self._database.writing() as connection:
            count = (await connection.execute(select(func.count()).where(*mine))).scalar() or 0
            values = {"handed_lines": batches.c.handed_lines + count - len(refused)}
            await change(connection, batch, values, batch.state)
            await connection.execute(update(parts).where(_PART.id == part.id).values(upstream_id=upstream_id))
            for some in _several(refused):
                await _let_alone(connection, some)
                await _wake(connection, some, now)

    async def looked(self, batch: Batch, part: Part, next_at: datetime, *, is_cancelled: bool) -> None:
        """Note when a part is looked at again; see the port."""
        values = {"next_ms": ms_of(next_at), "looks": _PART.looks + 1, "is_cancelled": is_cancelled}
        async with self._database.writing() as connection:
            await change(connection, batch, {}, batch.state)
            await connection.execute(update(parts).where(_PART.id == part.id).values(values))

    async def answered(self, batch: Batch, answers: Sequence[UpstreamBatchAnswer]) -> None:
        """Keep answers; see the port."""
        seal, tenant = self._database.sealer.seal, batch.tenant
        sealed = [(one, seal(tenant, _answer_place(one.line), one.kept.body)) for one in answers]
        async with self._database.writing() as connection:
            await change(connection, batch, {}, batch.state)
            for one, body in sealed:
                mine = (_LINE.job == one.line, _LINE.batch == batch.id, _LINE.state == LineState.HANDED.value)
                values = {
                    "state": LineState.ANSWERED.value,
                    "status": one.kept.status,
                    "answer": body,
                    "asked": None,
                }
                await connection.execute(update(handed).where(*mine).values(values))

    async def end(self, batch: Batch, part: Part, now: datetime) -> tuple[int, int]:
        """Have all lines of a part go on; see the port."""
        async with self._database.writing() as connection:
            rows = (await connection.execute(select(_LINE.job, _LINE.state).where(_LINE.part == part.id))).all()
            answered = sum(row.state == LineState.ANSWERED.value for row in rows)
            values = {"provider_lines": batches.c.provider_lines + answered}
            await change(connection, batch, values, batch.state)
            left = [row.job for row in rows if row.state == LineState.HANDED.value]
            for some in _several(left):
                await _let_alone(connection, some)
            # Of a batch that is being cancelled no line is to begin before it is cancelled, too.
            waits_for = LineState.HANDED.value if batch.state is BatchState.CANCELLING else ""
            for some in _several([row.job for row in rows if row.state != waits_for]):
                await _wake(connection, some, now)
            await connection.execute(update(parts).where(_PART.id == part.id).values(is_open=False))
        return answered, len(left)


async def forget_handed(connection: AsyncConnection, batch_id: str) -> None:
    """Have nothing be kept of the lines of a batch that were handed over."""
    await connection.execute(delete(handed).where(_LINE.batch == batch_id))
    await connection.execute(delete(parts).where(_PART.batch == batch_id))


async def _let_alone(connection: AsyncConnection, job_ids: Sequence[str]) -> None:
    values = {"state": LineState.ALONE.value, "asked": None}
    await connection.execute(update(handed).where(_LINE.job.in_(job_ids)).values(values))


async def _wake(connection: AsyncConnection, job_ids: Sequence[str], now: datetime) -> None:
    waits = (jobs.c.id.in_(job_ids), jobs.c.state == JobState.QUEUED.value, jobs.c.due_ms > ms_of(now))
    await connection.execute(update(jobs).where(*waits).values(due_ms=ms_of(now)))


def _several(job_ids: Sequence[str]) -> list[Sequence[str]]:
    return [job_ids[first : first + _TOGETHER] for first in range(0, len(job_ids), _TOGETHER)]


def _values_of(batch: Batch, part: Part) -> dict[str, Any]:
    return {
        "id": part.id,
        "batch": batch.id,
        "upstream": part.candidate.upstream,
        "model": part.candidate.model,
        "unsupported": part.unsupported.name,
        "is_open": True,
        "upstream_id": part.upstream_id,
        "prepared_ms": ms_of(part.prepared_at),
        "next_ms": ms_of(part.next_at),
        "tries": part.tries,
        "looks": part.looks,
        "is_cancelled": part.is_cancelled,
    }


def _part_of(row: Any) -> Part:
    return Part(
        id=row.id,
        candidate=Candidate(upstream=row.upstream, model=row.model),
        unsupported=UnsupportedFields[row.unsupported],
        prepared_at=moment_of(row.prepared_ms),
        next_at=moment_of(row.next_ms),
        upstream_id=row.upstream_id,
        tries=row.tries,
        looks=row.looks,
        is_cancelled=row.is_cancelled,
    )


def _asked_place(job_id: str) -> str:
    return f"{job_id}/handed"


def _answer_place(job_id: str) -> str:
    return f"{job_id}/answered"

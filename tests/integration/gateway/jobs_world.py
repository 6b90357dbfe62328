"""Jobs for tests: made in one line, kept in the database of each engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.priority import Priority
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.adapters.sql.jobs.schema import JOBS
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.domain.jobs.job import Claimed, Job, JobKind, JobState, NewJob, new_job_id
from penstock_gateway.domain.jobs.lanes import Bounds, Turns
from penstock_gateway.domain.jobs.telling import telling

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LEASE = timedelta(seconds=30)
ROOM = {Priority.CRITICAL: 16, Priority.DEFAULT: 16, Priority.SHEDDABLE: 16}


def new_job(*, order: bytes = b"asks", idempotency: str = "", fingerprint: str = "", **changed: Any) -> NewJob:
    """Return a job that waits."""
    job = Job(
        id=new_job_id(NOW),
        tenant="acme",
        key_id="k1",
        kind=JobKind.CHAT,
        target="small",
        priority=Priority.DEFAULT,
        state=JobState.QUEUED,
        surface="grpc",
        request_id="r1",
        created_at=NOW,
        due_at=NOW,
        deadline_at=NOW + timedelta(days=1),
        max_attempts=3,
        result_ttl=timedelta(hours=24),
    )
    return NewJob(job=replace(job, **changed), order=order, idempotency=idempotency, fingerprint=fingerprint)


class JobsWorld:
    """The store, and the queue of a worker, over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        database = JobDatabase(engine, TenantSealer(b"s" * 32), telling(lambda _tenant, _event: ()))
        self.engine = engine
        self.store, self.queue = SqlJobStore(database), SqlJobQueue(database)
        self.turns = Turns(Bounds())

    @classmethod
    async def over(cls, engine: AsyncEngine) -> JobsWorld:
        """Return the world of an empty database."""
        async with engine.begin() as connection:
            for schema in (JOBS, WEBHOOKS):
                await connection.run_sync(schema.upgrade_to)
        return cls(engine)

    async def accept(self, *jobs: NewJob) -> list[Job]:
        """Keep jobs."""
        return [each.job for each in await self.store.accept(jobs)]

    async def claim(self, worker: str = "w1", now: datetime = NOW, turns: Turns | None = None) -> Sequence[Claimed]:
        """Take what is due."""
        return await self.queue.claim(worker, turns or self.turns, ROOM, now, now + LEASE)

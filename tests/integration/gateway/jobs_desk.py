"""Jobs of a running suite, as somebody sees them who reaches its database alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.knowledge_calls import PutDocumentRequest
from penstock_common.llm.types import GenerationInput, Message, Role, Text
from penstock_common.priority import Priority
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.jobs.workers import SqlWorkers
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.domain.jobs.events import JobEvent
from penstock_gateway.domain.jobs.job import Job, JobKind, JobState, NewJob, new_job_id
from penstock_gateway.domain.jobs.orders import IngestOrder, order_bytes
from penstock_gateway.domain.jobs.results import AnyResult, result_of
from penstock_gateway.domain.jobs.telling import telling
from penstock_gateway.domain.life.order import ChatOrder, EmbeddingOrder

QUICK = {
    "poll": "20ms",
    "first_retry": "20ms",
    "longest_retry": "40ms",
    "reclaim_every": "50ms",
    "event_interval": "20ms",
    "heartbeat": "100ms",
    "lease": "1s",
}
"""What a test does not wait for."""
TIMEOUT = timedelta(minutes=1)


def chat(text: str = "Hi", model: str = "fast", *, whole: bool = False, key_id: str = "config-demo-1", **more: Any):
    """Return the order of a chat."""
    content = Message(role=Role.USER, parts=(Text(text=text),))
    job = new_job_id(datetime.now(UTC))
    return ChatOrder(
        request_id=f"r-{job[-8:]}",
        generation_id=job[-24:],
        surface="grpc",
        tenant=more.pop("tenant", "demo"),
        key_id=key_id,
        timeout=timedelta(seconds=60),
        input=GenerationInput(model=model, messages=(content,)),
        whole=whole,
        **more,
    )


def vectors(*texts: str, model: str = "") -> EmbeddingOrder:
    """Return the order of vectors."""
    job = new_job_id(datetime.now(UTC))
    return EmbeddingOrder(
        request_id=f"r-{job[-8:]}",
        generation_id=job[-24:],
        surface="grpc",
        tenant="demo",
        key_id="config-demo-1",
        timeout=timedelta(seconds=60),
        input=EmbedRequest(texts=texts, model=model),
    )


def ingest(request: PutDocumentRequest, key_id: str) -> IngestOrder:
    """Return the order of a document."""
    job = new_job_id(datetime.now(UTC))
    return IngestOrder(
        request_id=f"r-{job[-8:]}",
        generation_id=job[-24:],
        surface="grpc",
        tenant=request.tenant,
        key_id=key_id,
        timeout=timedelta(seconds=60),
        request=request,
    )


_KINDS: dict[type, JobKind] = {ChatOrder: JobKind.CHAT, EmbeddingOrder: JobKind.EMBEDDING, IngestOrder: JobKind.INGEST}


class JobsDesk:
    """Accepts jobs and looks at them."""

    def __init__(self, engine: AsyncEngine, pepper: bytes) -> None:
        self.engine = engine
        database = JobDatabase(engine, TenantSealer(pepper), telling(lambda _tenant, _event: ()))
        self.store, self.queue, self.workers = SqlJobStore(database), SqlJobQueue(database), SqlWorkers(database)

    @classmethod
    @asynccontextmanager
    async def at(cls, state: Path, url: str = "") -> AsyncGenerator[JobsDesk]:
        """Yield the desk of a suite whose pepper, and whose database unless that is at ``url``, is in a folder."""
        async with open_database(url or f"sqlite:///{state}/penstock.db") as engine:
            yield cls(engine, (state / "pepper").read_bytes())

    async def submit(self, *orders: ChatOrder | EmbeddingOrder | IngestOrder, **changed: Any) -> list[Job]:
        """Accept jobs, as a submitter does."""
        now = datetime.now(UTC)
        jobs = [
            NewJob(
                job=replace(
                    Job(
                        id=new_job_id(now),
                        tenant=order.tenant,
                        key_id=order.key_id,
                        kind=_KINDS[type(order)],
                        target=order.request.base if isinstance(order, IngestOrder) else order.input.model,
                        priority=Priority.SHEDDABLE,
                        state=JobState.QUEUED,
                        surface=order.surface,
                        request_id=order.request_id,
                        created_at=now,
                        due_at=now,
                        deadline_at=now + timedelta(hours=1),
                        max_attempts=3,
                        result_ttl=timedelta(hours=1),
                    ),
                    **changed,
                ),
                order=order_bytes(order),
            )
            for order in orders
        ]
        return [each.job for each in await self.store.accept(jobs)]

    async def until(self, job: Job, true: Callable[[Job], bool]) -> Job:
        """Return the job once this is true of it."""
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            while True:
                now = await self.store.get(job.tenant, job.id)
                assert now is not None
                if true(now):
                    return now
                await asyncio.sleep(0.01)

    async def ended(self, job: Job) -> Job:
        """Return the job once it has ended."""
        return await self.until(job, lambda now: now.state.is_end)

    async def result(self, job: Job) -> AnyResult:
        """Return what came of it."""
        content = await self.store.result(job)
        assert content is not None
        return result_of(job.kind, content)

    async def told(self, job: Job) -> Sequence[JobEvent]:
        """Return what happened to it, numbered without a gap."""
        events = await self.store.events(job, 0, 10_000)
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        return [event.event for event in events]

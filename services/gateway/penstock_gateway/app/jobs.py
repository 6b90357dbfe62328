"""Jobs' part of the composition: where they are kept, who accepts them, and who runs them."""

from __future__ import annotations

import os
import random
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import StartWork, running
from penstock_common.key_material import read_key_material
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.job_metrics import DepthCollector, JobMetrics
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.pauses import SqlPauses
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.adapters.sql.jobs.workers import SqlWorkers
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.app.batches import BatchParts, batch_execution, batch_parts, handing_of
from penstock_gateway.domain.access.holders import Holders
from penstock_gateway.domain.batches.handed_chat import HandedChats
from penstock_gateway.domain.batches.handing import BatchProviders
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.executing import Arriving, ChatExecution, EmbeddingExecution
from penstock_gateway.domain.jobs.ingesting import IngestExecution
from penstock_gateway.domain.jobs.job import JobKind
from penstock_gateway.domain.jobs.lanes import Turns
from penstock_gateway.domain.jobs.lost import LostAttempts
from penstock_gateway.domain.jobs.observing import DepthWatch
from penstock_gateway.domain.jobs.retrying import Backoff
from penstock_gateway.domain.jobs.running import JobRunner, RunnerTerms
from penstock_gateway.domain.jobs.submission import Submitter
from penstock_gateway.domain.jobs.telling import telling
from penstock_gateway.domain.jobs.tidying import Tidying, TidyingTerms
from penstock_gateway.domain.knowledge.administration import KnowledgeAdministration
from penstock_gateway.domain.life.chat import ChatLife
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.embeddings import EmbeddingLife
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.life.settlement import Ledger
from penstock_gateway.domain.webhooks.book import WebhookBook
from penstock_gateway.job_settings import JobSettings
from penstock_gateway.settings import Settings

_MOST = 1_000_000_000
_MOST_HOST = 32

# The depth of the queue, for metrics: counting a hundred thousand jobs takes tens of milliseconds.
_LOOK_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobParts:
    """What is open of jobs, in a gateway or a worker."""

    store: SqlJobStore
    queue: SqlJobQueue
    bell: Bell
    submitter: Submitter
    runner: JobRunner
    batches: BatchParts
    workers: SqlWorkers
    pauses: SqlPauses
    depths: DepthWatch


def job_parts(settings: Settings, engine: AsyncEngine, webhooks: WebhookBook, registry: CollectorRegistry) -> JobParts:
    """Return the parts, with which nothing happens yet; ``webhooks`` are told of ends.

    Raises:
        ConfigurationError: if the secret cannot be read that what jobs ask is sealed by.
    """
    observer = JobMetrics(registry)
    secret = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    database, bell = JobDatabase(engine, TenantSealer(secret), telling(webhooks.wanting)), Bell()
    store = SqlJobStore(database)
    submitter = Submitter(
        store, bell, settings.jobs.usual, lambda: webhooks.endpoints, is_enabled=settings.jobs.enabled
    )
    queue, turns = SqlJobQueue(database), Turns(settings.jobs.bounds, settings.jobs.patience_of)
    runner = JobRunner(queue, bell, turns, _runner_terms(settings.jobs), _worker_name())
    workers = runner.workers = SqlWorkers(database)
    depths = DepthWatch(store)
    runner.observer = observer
    registry.register(DepthCollector(depths))
    return JobParts(
        store=store,
        queue=queue,
        bell=bell,
        submitter=submitter,
        runner=runner,
        workers=workers,
        pauses=SqlPauses(database),
        batches=batch_parts(settings, database, bell, webhooks.wanting, registry),
        depths=depths,
    )


def have_jobs_run(
    parts: JobParts,
    settings: Settings,
    who: tuple[Holders, Ledger, StartWork],
    lives: tuple[ChatLife, EmbeddingLife, KnowledgeAdministration],
    providers: BatchProviders,
) -> Tidying:
    """Say how jobs are run: by the lives that requests have, through a door of their own; return who sees to the others."""
    (holders, ledger, in_background), (chat, embeddings, knowledge), own = who, lives, settings.jobs
    # How many there are at once is the runner's to say.
    door = Door(Capacity(requests=_MOST, body_bytes=_MOST, tenant_ratio=1.0, key_ratio=1.0), Refusals(_MOST))
    traces = TraceStarter(settings.telemetry.sample_ratio, random.Random())  # noqa: S311 - ids, not secrets
    arriving = Arriving(holders, door, traces, own.attempt_timeout)
    lost = parts.runner.lost = LostAttempts(parts.store, holders, ledger)
    handing = handing_of(parts.batches, settings, providers)
    parts.runner.runs[JobKind.CHAT] = HandedChats(ChatExecution(arriving, chat, in_background), chat.parts, handing)
    parts.runner.runs[JobKind.EMBEDDING] = EmbeddingExecution(arriving, embeddings)
    parts.runner.runs[JobKind.BATCH] = batch_execution(parts.batches, settings, holders, (parts.bell, handing))
    parts.runner.runs[JobKind.INGEST] = IngestExecution(arriving, knowledge)
    tidying = Tidying(parts.queue, parts.bell, lost, TidyingTerms(every=own.reclaim_every, kept=own.kept))
    tidying.observer = parts.runner.observer
    return tidying


@asynccontextmanager
async def running_jobs(parts: JobParts, tidying: Tidying, *, claims: bool) -> AsyncGenerator[None]:
    """Run jobs while the context is open, and see to those that nobody is at where this process ``claims`` any."""
    async with AsyncExitStack() as stack:
        if claims:
            await stack.enter_async_context(running(tidying.run()))
            await stack.enter_async_context(running(parts.batches.sweeper.run()))
            await stack.enter_async_context(running(parts.depths.run(_LOOK_EVERY)))
        await stack.enter_async_context(parts.runner.open())
        yield


def _runner_terms(own: JobSettings) -> RunnerTerms:
    return RunnerTerms(
        claims=own.run_here,
        concurrency=own.concurrency,
        lease=own.lease,
        heartbeat=own.heartbeat,
        poll=own.poll,
        event_interval=own.event_interval,
        backoff=Backoff(first=own.first_retry, longest=own.longest_retry),
    )


def _worker_name() -> str:
    """Return a name that no other process has, and that says where to look for it."""
    return f"{socket.gethostname()[:_MOST_HOST]}-{os.getpid()}-{secrets.token_hex(4)}"

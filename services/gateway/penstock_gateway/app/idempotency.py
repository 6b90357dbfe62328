"""Idempotency's part of the composition: where calls are kept that were made under a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.errors import PenstockError
from penstock_common.key_material import read_key_material
from penstock_common.sealing import derived_key
from penstock_common.status import error_of_reason
from penstock_gateway.adapters.kept_metrics import IdempotencyMetrics
from penstock_gateway.adapters.sql.idempotency.store import SqlCallStore
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.app.jobs import JobParts
from penstock_gateway.domain.idempotency.calls import KeptCalls
from penstock_gateway.domain.idempotency.following import Sources
from penstock_gateway.domain.idempotency.keys import Marks
from penstock_gateway.domain.idempotency.repeats import Repeats
from penstock_gateway.domain.jobs.gate import Gate
from penstock_gateway.domain.jobs.job import JobError
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.wire_formats.deferred import DeferringParts


@dataclass(frozen=True, slots=True)
class IdempotencyParts:
    """What is open of it."""

    calls: KeptCalls
    marks: Marks
    metrics: IdempotencyMetrics


def deferring_parts(settings: Settings, jobs: JobParts, idempotency: IdempotencyParts, gate: Gate) -> DeferringParts:
    """Return what answers stand on that are kept, or come later."""
    sources = Sources(store=jobs.store, bell=jobs.bell, poll=settings.jobs.poll, error_of=error_of)
    repeats = Repeats(jobs.submitter, jobs.runner, sources, gate)
    repeats.count_answer, repeats.count_job = (idempotency.metrics.of(kind) for kind in ("inference", "job"))
    kept, own = settings.idempotency.kept, settings.jobs
    return DeferringParts(repeats, idempotency.marks, kept, own.result_ttl, own.deadline)


def error_of(error: JobError) -> PenstockError | None:
    """Return what a job failed by, for callers."""
    return error_of_reason(error.reason, error.message)


@asynccontextmanager
async def open_idempotency(
    settings: Settings, engine: AsyncEngine, registry: CollectorRegistry
) -> AsyncGenerator[IdempotencyParts]:
    """Yield the parts; what is too old is deleted meanwhile.

    Raises:
        ConfigurationError: if the secret cannot be read that answers are sealed by.
    """
    secret = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    calls = KeptCalls(SqlCallStore(engine, TenantSealer(secret)), settings.idempotency.terms)
    metrics = IdempotencyMetrics(registry)
    calls.count = metrics.of("call")
    forgetting = calls.forget(settings.idempotency.forget_every)
    task = asyncio.get_running_loop().create_task(forgetting, name="idempotency retention")
    try:
        yield IdempotencyParts(calls, Marks(derived_key(secret, b"penstock idempotency v1")), metrics)
    finally:
        task.cancel()
        await asyncio.wait((task,))

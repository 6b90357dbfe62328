"""What serves jobs to callers and operators."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.app.jobs import JobParts
from penstock_gateway.app.parts import Parts
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.batches.sight import BatchSight
from penstock_gateway.domain.jobs.desk import DeskParts, DeskTerms, JobDesk
from penstock_gateway.domain.jobs.gate import Gate
from penstock_gateway.domain.jobs.pause_names import PauseNames
from penstock_gateway.domain.jobs.pausing import PauseDesk
from penstock_gateway.domain.knowledge.ports import Knowledge
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.arrival import Reception
from penstock_gateway.surfaces.grpc.admin import actors_of
from penstock_gateway.surfaces.grpc.batches import BatchServicer
from penstock_gateway.surfaces.grpc.deferred import RepeatedCalls
from penstock_gateway.surfaces.grpc.job_desk import ViewerOf, viewers_of
from penstock_gateway.surfaces.grpc.jobs import JobServicer, JobServicerParts


def job_servicer(
    settings: Settings,
    parts: Parts,
    reception: Reception,
    accepting: tuple[Gate, RepeatedCalls],
    names: tuple[TenantDirectory, Knowledge],
) -> JobServicer:
    """Return what serves jobs; ``names``: of what pauses may name."""
    gate, repeated = accepting
    own, jobs = settings.jobs, parts.jobs
    return JobServicer(
        desk_over(settings, parts.engine, jobs),
        pauses_over(parts.engine, jobs, *names),
        viewers_of(actors_of(reception)),
        JobServicerParts(
            reception=reception,
            submitter=jobs.submitter,
            gate=gate,
            repeated=repeated,
            attempt_timeout=own.attempt_timeout,
        ),
    )


def batch_servicer(parts: Parts, reception: Reception) -> BatchServicer:
    """Return what serves batches."""
    return batches_over(parts.engine, parts.jobs, viewers_of(actors_of(reception)))


def batches_over(engine: AsyncEngine, jobs: JobParts, viewer_of: ViewerOf) -> BatchServicer:
    """Return what serves batches to those whom ``viewer_of`` finds."""
    return BatchServicer(BatchSight(jobs.batches.store, jobs.bell, SqlRegistry(engine)), viewer_of)


def pauses_over(engine: AsyncEngine, jobs: JobParts, directory: TenantDirectory, knowledge: Knowledge) -> PauseDesk:
    """Return where jobs are paused."""
    registry = SqlRegistry(engine)
    return PauseDesk(jobs.pauses, jobs.bell, registry, PauseNames(directory, registry, knowledge, jobs.store))


def desk_over(settings: Settings, engine: AsyncEngine, jobs: JobParts) -> JobDesk:
    """Return where jobs are asked for."""
    own = settings.jobs
    terms = DeskTerms(poll=own.poll, deadline=own.deadline, lease=own.lease, watchers=own.watchers)
    return JobDesk(DeskParts(jobs.store, jobs.bell, jobs.workers), SqlRegistry(engine), terms)

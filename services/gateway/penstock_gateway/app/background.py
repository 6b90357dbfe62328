"""What makes answers that nobody waits for, for the wire formats."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.app.job_desk import desk_over
from penstock_gateway.app.jobs import JobParts
from penstock_gateway.domain.jobs.gate import Gate
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.wire_formats.background import BackgroundParts
from penstock_gateway.surfaces.wire_formats.deferred import DeferringParts


def background_parts(
    settings: Settings, engine: AsyncEngine, jobs: JobParts, deferring: DeferringParts, gate: Gate
) -> BackgroundParts:
    """Return what runs answers that nobody waits for."""
    return BackgroundParts(
        submitter=jobs.submitter,
        repeats=deferring.repeats,
        gate=gate,
        marks=deferring.marks,
        jobs=jobs.store,
        desk=desk_over(settings, engine, jobs),
        kept=deferring.kept,
        cancel_wait=settings.responses.cancel_wait,
    )

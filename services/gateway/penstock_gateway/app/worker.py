"""The worker's composition root: a gateway without its doors, which runs the jobs that gateways accept."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from penstock_common.service import Prepare
from penstock_gateway.adapters.services.channels import Channels
from penstock_gateway.app.gateway import surfaces_of
from penstock_gateway.app.jobs import running_jobs
from penstock_gateway.app.parts import open_parts
from penstock_gateway.domain.jobs.running import JobRunner
from penstock_gateway.settings import Settings

__all__ = ["Channels", "RunningWorker", "running"]


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker that runs jobs."""

    runner: JobRunner
    prepare: Prepare
    """Called with other settings; see ``Service``."""

    async def drain(self, grace: timedelta) -> None:
        """Take no more, and return once all have ended, or were handed back when ``grace`` was nearly over."""
        await self.runner.drain(grace)


@asynccontextmanager
async def running(settings: Settings, channels: Channels) -> AsyncGenerator[RunningWorker]:
    """Yield a worker: it is for jobs, so ``jobs.run_here`` says nothing to it.

    Raises:
        ConfigurationError: if the schema is not current.
    """
    own = settings.model_copy(update={"jobs": settings.jobs.model_copy(update={"run_here": True})})
    async with AsyncExitStack() as stack:
        # Gateways count the same limits.
        parts = await open_parts(stack, own, upgrades_schema=False, shares_limits=True)
        for collector in channels.collectors:
            parts.registry.register(collector)
        surfaces, tidying = surfaces_of(own, channels, parts)
        await stack.enter_async_context(running_jobs(parts.jobs, tidying, claims=True))
        yield RunningWorker(parts.jobs.runner, surfaces.prepare)

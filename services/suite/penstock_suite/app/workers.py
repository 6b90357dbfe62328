"""Several equal processes of a stack: started together, replaced when one dies, ended in order."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from penstock_common.configuration import Configuration
from penstock_common.rpc.server import listening
from penstock_common.rpc.server_interceptors import FinalFailures, IncomingScope
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_suite.adapters.addresses import LOOPBACK, Address, free_addresses, kept_for_sharing
from penstock_suite.adapters.grpc_health import SERVING, health_of
from penstock_suite.adapters.process import Command, running_child
from penstock_suite.adapters.state_files import write_worker_plan
from penstock_suite.adapters.worker_metrics import WorkerMetrics
from penstock_suite.app.local_processes import Workshop
from penstock_suite.app.one_process import embedding_service, upgrade_schema
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Prepared, Preparing
from penstock_suite.domain.worker import WorkerPlan

_READY_TIMEOUT = timedelta(minutes=3)
# After its grace a worker closes what it has opened.
_CLOSING = timedelta(seconds=5)
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# One that has run for so long did not die of how it was started.
_STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Common:
    """What all workers are told."""

    configuration: Configuration
    grpc: Address
    grace: timedelta


@asynccontextmanager
async def workers_running(
    workshop: Workshop, configuration: Configuration, grpc: Address, count: int, grace: timedelta
) -> AsyncGenerator[Workers]:
    """Yield ``count`` ready workers that share ``grpc``, the schema up to date.

    Raises:
        SuiteFailure: if one does not start.
    """
    await upgrade_schema(configuration)
    async with AsyncExitStack() as stack:
        stack.enter_context(kept_for_sharing(grpc))
        registry = CollectorRegistry()
        if workshop.plan.settings.embedding is not None:
            await stack.enter_async_context(_serving_embedding(workshop, configuration, registry))
        metrics = free_addresses(*[(Address(LOOPBACK, 0), "metrics")] * count)
        common = _Common(configuration, grpc, grace)
        plans = [_plan(workshop, common, f"worker-{number}", address) for number, address in enumerate(metrics)]
        await stack.enter_async_context(_serving_metrics(workshop, plans, metrics, registry))
        yield await stack.enter_async_context(_kept_running(workshop, plans))


def _plan(workshop: Workshop, common: _Common, name: str, metrics: Address) -> WorkerPlan:
    settings, state = workshop.plan.settings, workshop.plan.state
    document = dict(common.configuration.document)
    if settings.telemetry.metrics_listen:
        document["telemetry"] = {**(document.get("telemetry") or {}), "metrics_listen": str(metrics)}
    return WorkerPlan(
        name=name,
        document=document,
        source=workshop.plan.source,
        grpc=str(common.grpc),
        grpc_socket=str(state.worker_grpc_socket(name)),
        http_socket=str(state.worker_http_socket(name)),
        embedding_socket=str(state.embedding_socket) if settings.embedding is not None else "",
        local_triton_models=settings.local_triton_models,
        grace_seconds=common.grace.total_seconds(),
    )


@asynccontextmanager
async def _serving_embedding(
    workshop: Workshop, configuration: Configuration, registry: CollectorRegistry
) -> AsyncGenerator[None]:
    # One model for all: it is the largest thing in memory, and its batches fill better.
    address = f"unix:{workshop.plan.state.embedding_socket}"
    async with (
        embedding_service(configuration) as service,
        listening(address, [service], [FinalFailures(), IncomingScope()]) as listener,
    ):
        for collector in service.collectors:
            registry.register(collector)
        await listener.set_serving(serving=True)
        yield


def _serving_metrics(
    workshop: Workshop, plans: Sequence[WorkerPlan], addresses: Sequence[Address], registry: CollectorRegistry
) -> AbstractAsyncContextManager[None]:
    named = {plan.name: str(address) for plan, address in zip(plans, addresses, strict=True)}
    registry.register(WorkerMetrics(named))
    return serving_metrics(registry, workshop.plan.settings.telemetry.metrics_listen)


@asynccontextmanager
async def _kept_running(workshop: Workshop, plans: Sequence[WorkerPlan]) -> AsyncGenerator[Workers]:
    workers = [_Worker(workshop, plan) for plan in plans]
    running = [asyncio.create_task(worker.keep_running(), name=worker.plan.name) for worker in workers]
    try:
        await asyncio.gather(*(worker.is_ready for worker in workers))
        yield Workers(workers, running)
    finally:
        await _ended(running)


async def _ended(running: Sequence[asyncio.Task[None]]) -> None:
    for task in running:
        # Once: a second one would cut the time that a worker has to end.
        if not task.cancelling():
            task.cancel()
    await asyncio.wait(running)


class Workers:
    """Implements ``gateways.Gateways`` with processes."""

    def __init__(self, workers: Sequence[_Worker], running: Sequence[asyncio.Task[None]]) -> None:
        self.grpc_targets = tuple(f"unix://{worker.plan.grpc_socket}" for worker in workers)
        self.http_sockets = tuple(Path(worker.plan.http_socket) for worker in workers)
        self._running = running

    async def set_ready(self) -> None:
        """They are: each says so by itself."""

    async def drain(self, grace: timedelta) -> None:
        """End all of them; each was told its grace when it began."""
        del grace
        await _ended(self._running)


class _Worker:
    """One worker, started again for as long as it is wanted."""

    def __init__(self, workshop: Workshop, plan: WorkerPlan) -> None:
        self.plan = plan
        self.is_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it was ready for the first time; fails if it never was."""
        self._workshop = workshop
        self._file = write_worker_plan(workshop.plan.state, plan)

    async def keep_running(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._run()
            except SuiteFailure as failure:
                if not self.is_ready.done():
                    self.is_ready.set_exception(failure)
                    return
                self._workshop.lose(failure)
            if time.monotonic() - began > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _run(self) -> None:
        """Start it and wait for its end, which raises ``SuiteFailure`` if nobody asked for it."""
        name, began = self.plan.name, time.monotonic()
        died: asyncio.Future[SuiteFailure] = asyncio.get_running_loop().create_future()
        self._workshop.show(Preparing(name))
        log = self._workshop.plan.state.log(name)
        async with running_child(self._command(), log, died.set_result) as child:
            self._workshop.ending.on_cut(child.ask)
            await child.wait_ready(self._serves, _READY_TIMEOUT)
            self._workshop.note_running(name, child.pid)
            self._workshop.show(Prepared(name, time.monotonic() - began, child.pid))
            if not self.is_ready.done():
                self.is_ready.set_result(None)
            raise await died

    def _command(self) -> Command:
        return Command(
            name=self.plan.name,
            title=f"The {self.plan.name}",
            argv=(sys.executable, "-m", "penstock_suite", "worker", str(self._file)),
            # Provider keys that the configuration refers to.
            environment=os.environ,
            stop_timeout=timedelta(seconds=self.plan.grace_seconds) + _CLOSING,
            keeps_log=self.is_ready.done(),
        )

    async def _serves(self) -> bool:
        return await health_of(f"unix:{self.plan.grpc_socket}") == SERVING

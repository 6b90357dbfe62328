"""Several equal processes of a stack: started together, replaced when one dies, ended in order."""

from __future__ import annotations

import os
import sys
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
from penstock_gateway.app.administration import upgrade_schema
from penstock_gateway.settings import StorageSettings
from penstock_suite.adapters.addresses import LOOPBACK, Address, free_addresses, kept_for_sharing
from penstock_suite.adapters.gateway_client import SERVING, health_of
from penstock_suite.adapters.process import ChildProcess, Command
from penstock_suite.adapters.state_files import write_worker_plan
from penstock_suite.adapters.worker_metrics import WorkerMetrics
from penstock_suite.app.parts import KeptRunning, Part, Workshop, kept_running
from penstock_suite.app.wiring import Wiring, all_here
from penstock_suite.domain.requests import Role
from penstock_suite.domain.run_record import WorkerPlan

_READY_TIMEOUT = timedelta(minutes=3)
# After its grace a worker closes what it has opened.
_CLOSING = timedelta(seconds=5)


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
    await upgrade_schema(configuration.settings(StorageSettings))
    async with AsyncExitStack() as stack:
        stack.enter_context(kept_for_sharing(grpc))
        registry = CollectorRegistry()
        if workshop.plan.settings.embedding is not None:
            await stack.enter_async_context(_serving_embedding(workshop, configuration, registry))
        metrics = free_addresses(*[(Address(LOOPBACK, 0), "metrics")] * count)
        common = _Common(configuration, grpc, grace)
        plans = [_plan(workshop, common, f"worker-{number}", address) for number, address in enumerate(metrics)]
        await stack.enter_async_context(_serving_metrics(workshop, plans, metrics, registry))
        parts = [_part(workshop, plan) for plan in plans]
        yield Workers(plans, await stack.enter_async_context(kept_running(workshop, parts)))


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
    async with AsyncExitStack() as stack:
        service = await Wiring(configuration, all_here(configuration), stack).service(Role.EMBEDDING)
        listener = await stack.enter_async_context(listening(address, [service], [FinalFailures(), IncomingScope()]))
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


def _part(workshop: Workshop, plan: WorkerPlan) -> Part:
    command = Command(
        name=plan.name,
        title=f"The {plan.name}",
        argv=(sys.executable, "-m", "penstock_suite", "worker", str(write_worker_plan(workshop.plan.state, plan))),
        # Provider keys that the configuration refers to.
        environment=os.environ,
        stop_timeout=timedelta(seconds=plan.grace_seconds) + _CLOSING,
    )

    async def serves() -> bool:
        return await health_of(f"unix:{plan.grpc_socket}") == SERVING

    # A worker that drains already ends at once when it is asked again.
    return Part(command, serves, _READY_TIMEOUT, cut=ChildProcess.ask)


class Workers:
    """Implements ``gateways.Gateways`` with processes."""

    def __init__(self, plans: Sequence[WorkerPlan], running: KeptRunning) -> None:
        self.grpc_targets = tuple(f"unix://{plan.grpc_socket}" for plan in plans)
        self.http_sockets = tuple(Path(plan.http_socket) for plan in plans)
        self._running = running

    async def set_ready(self) -> None:
        """They are: each says so by itself."""

    async def drain(self, grace: timedelta) -> None:
        """End all of them; each was told its grace when it began."""
        del grace
        await self._running.end()

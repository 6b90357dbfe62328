"""Several equal processes of a stack: started together, replaced when one dies, ended in order."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from penstock_common.configuration import Configuration
from penstock_common.points.opening import open_points
from penstock_common.points.servicer import points_service
from penstock_common.rpc.client import Channel
from penstock_common.rpc.server import listening
from penstock_common.rpc.server_interceptors import FinalFailures, IncomingScope
from penstock_common.rpc.shedding import LoadShedding
from penstock_common.sections import RoomSettings
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_gateway.app.administration import upgrade_schema
from penstock_gateway.settings import StorageSettings
from penstock_suite.adapters.addresses import LOOPBACK, Address, free_addresses, kept_for_sharing
from penstock_suite.adapters.gateway_client import SERVING, health_of
from penstock_suite.adapters.loop_lag import watched_loop
from penstock_suite.adapters.process import ChildProcess, Command, came_true
from penstock_suite.adapters.state_files import read_revision, write_worker_plan, write_worker_plans
from penstock_suite.adapters.worker_metrics import WorkerMetrics
from penstock_suite.app.parts import KeptRunning, Part, Workshop, kept_running
from penstock_suite.app.wiring import Wiring, all_here
from penstock_suite.domain.reload import ProcessRevision
from penstock_suite.domain.requests import Role
from penstock_suite.domain.run_record import WorkerPlan
from penstock_suite.settings import PatienceSettings, VectorSettings

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
        registry.register(workshop.metrics)
        registry.register(stack.enter_context(watched_loop()))
        embedding: Wiring | None = None
        if workshop.plan.settings.embedding is not None:
            embedding = await stack.enter_async_context(_serving_embedding(workshop, configuration, registry))
        if workshop.plan.settings.has_engine:
            await stack.enter_async_context(_serving_points(workshop, configuration))
        metrics = free_addresses(*[(Address(LOOPBACK, 0), "metrics")] * count)
        common = _Common(configuration, grpc, grace)
        plans = [_plan(workshop, common, f"worker-{number}", address) for number, address in enumerate(metrics)]
        await stack.enter_async_context(_serving_metrics(workshop, plans, metrics, registry))
        parts = [_part(workshop, plan) for plan in plans]
        running = await stack.enter_async_context(kept_running(workshop, parts))
        yield Workers(workshop, plans, running, embedding)


def _document(configuration: Configuration, metrics: str) -> dict[str, Any]:
    """Return the configuration of a worker, whose metrics another process fetches and shows."""
    document = dict(configuration.document)
    telemetry = document.get("telemetry") or {}
    if telemetry.get("metrics_listen"):
        document["telemetry"] = {**telemetry, "metrics_listen": metrics}
    return document


def _plan(workshop: Workshop, common: _Common, name: str, metrics: Address) -> WorkerPlan:
    settings, state = workshop.plan.settings, workshop.plan.state
    return WorkerPlan(
        name=name,
        document=_document(common.configuration, str(metrics)),
        source=workshop.plan.source,
        revision=common.configuration.revision,
        revisions=str(state.revisions),
        metrics=str(metrics),
        grpc=str(common.grpc),
        grpc_socket=str(state.worker_grpc_socket(name)),
        http_socket=str(state.worker_http_socket(name)),
        embedding_socket=str(state.embedding_socket) if settings.embedding is not None else "",
        points_socket=str(state.points_socket) if settings.has_engine else "",
        local_triton_models=settings.local_triton_models,
        grace_seconds=common.grace.total_seconds(),
    )


@asynccontextmanager
async def _serving_embedding(
    workshop: Workshop, configuration: Configuration, registry: CollectorRegistry
) -> AsyncGenerator[Wiring]:
    # One model for all: it is the largest thing in memory, and its batches fill better.
    address = f"unix:{workshop.plan.state.embedding_socket}"
    async with AsyncExitStack() as stack:
        wiring = Wiring(configuration, all_here(configuration), stack)
        service = await wiring.service(Role.EMBEDDING)
        shedding = LoadShedding(RoomSettings().of(Role.EMBEDDING))
        interceptors = [FinalFailures(), IncomingScope(), shedding]
        listener = await stack.enter_async_context(listening(address, [service], interceptors))
        for collector in (shedding, *service.collectors):
            registry.register(collector)
        await listener.set_serving(serving=True)
        yield wiring


@asynccontextmanager
async def _serving_points(workshop: Workshop, configuration: Configuration) -> AsyncGenerator[None]:
    # The engine's folder is one process's, which starts the engine again when it dies.
    address = f"unix:{workshop.plan.state.points_socket}"
    async with open_points(configuration.settings(VectorSettings).qdrant) as engine:
        interceptors = [FinalFailures(), IncomingScope()]
        async with listening(address, [points_service(engine)], interceptors) as listener:
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

    def __init__(
        self, workshop: Workshop, plans: Sequence[WorkerPlan], running: KeptRunning, embedding: Wiring | None
    ) -> None:
        self._workshop = workshop
        self._plans = plans
        self._embedding = embedding
        self.grpc_targets = tuple(f"unix://{plan.grpc_socket}" for plan in plans)
        self.http_sockets = tuple(Path(plan.http_socket) for plan in plans)
        self._running = running

    async def channel(self, role: Role) -> Channel | None:
        """Return the way to a role that this process serves to the workers."""
        return await self._embedding.channel(role) if self._embedding is not None and role is Role.EMBEDDING else None

    async def set_ready(self) -> None:
        """They are: each says so by itself."""

    async def take_over(self, configuration: Configuration, number: int) -> Sequence[ProcessRevision]:
        """Tell all of them, and return what each says; see the port."""
        commit = await self._embedding.prepare(configuration) if self._embedding is not None else None
        plans = [
            replace(
                plan,
                document=_document(configuration, plan.metrics),
                revision=configuration.revision,
                reload=number,
            )
            for plan in self._plans
        ]
        # All are written before one is told: a worker that starts meanwhile starts with it.
        write_worker_plans(self._workshop.plan.state, plans)
        self._plans = plans
        patience = configuration.settings(PatienceSettings).reload.worker_patience
        told = await asyncio.gather(*(self._told(plan, patience) for plan in self._plans))
        if commit is not None:
            commit()
        return told

    async def _told(self, plan: WorkerPlan, patience: timedelta) -> ProcessRevision:
        """Return what a worker says of its newest plan, told of it as soon as it can hear."""
        folder = self._workshop.plan.state.revisions
        heard: set[int] = set()

        async def has_answered() -> bool:
            child, said = self._running.child(plan.name), read_revision(folder, plan.name)
            if child is None or said is None or said.pid != child.pid:
                return False
            if said.number < plan.reload and child.pid not in heard:
                heard.add(child.pid)
                child.hang_up()
            return said.number == plan.reload

        answered = await came_true(has_answered, patience)
        said = read_revision(folder, plan.name)
        if said is not None and answered:
            return said
        problem = (
            f"it did not answer within {patience.total_seconds():g} s; see {self._workshop.plan.state.log(plan.name)}"
        )
        nobody = ProcessRevision(name=plan.name, pid=0, revision="", since="")
        return replace(said or nobody, problem=problem)

    async def drain(self, grace: timedelta) -> None:
        """End all of them; each was told its grace when it began."""
        del grace
        await self._running.end()

"""The programs of the local stack: Redis and Triton below the services, the edge above them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from penstock_common.rpc.channel import open_channel
from penstock_suite.adapters.addresses import LOOPBACK, Address, free_addresses
from penstock_suite.adapters.edge_server import EdgeOptions, edge_command, edge_executable, edge_probe
from penstock_suite.adapters.key_files import ensure_key_file, random_secret
from penstock_suite.adapters.probe import Probe
from penstock_suite.adapters.process import ChildProcess, Command, running_child
from penstock_suite.adapters.redis_server import redis_command, redis_executable, redis_probe
from penstock_suite.adapters.triton_command import ExplicitControl
from penstock_suite.adapters.triton_server import missing_model, triton_probe, triton_server_command
from penstock_suite.app.plan import StackPlan, triton_folders
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.progress import Lost, Prepared, Preparing, Show

_log = structlog.get_logger(__name__)

OnDeath = Callable[[SuiteFailure], None]

_REDIS_TIMEOUT = timedelta(seconds=20)
# A model of some gigabytes loads for minutes; a dead Triton is seen at once.
_TRITON_TIMEOUT = timedelta(minutes=10)
_EDGE_TIMEOUT = timedelta(seconds=20)


@dataclass(slots=True)
class Workshop:
    """What every step of a start needs: the plan, who closes what is opened, and whom to tell."""

    plan: StackPlan
    stack: AsyncExitStack
    ending: Ending
    show: Show
    began: float
    running: dict[str, int] = field(default_factory=dict[str, int])
    """Process ids by name."""
    on_change: Callable[[], None] = lambda: None
    """Called when one of them is another process than before."""
    triton_grpc: str = ""

    async def start(self, command: Command, on_death: OnDeath | None = None) -> ChildProcess:
        """Return the started child, which the stack's end stops; its own end is the stack's unless ``on_death`` hears."""
        self.show(Preparing(command.name))
        log = self.plan.state.log(command.name)
        child = await self.stack.enter_async_context(running_child(command, log, on_death or self.ending.fail))
        self.ending.on_cut(child.kill)
        self.note_running(command.name, child.pid)
        return child

    def note_running(self, name: str, pid: int) -> None:
        """Remember the process of a part."""
        self.running[name] = pid
        self.on_change()

    def lose(self, failure: SuiteFailure) -> None:
        """Go on without a part: those who use it can do without, or it is started again."""
        _log.warning("part_lost", reason=str(failure))
        self.show(Lost(str(failure)))

    async def await_ready(self, child: ChildProcess, probe: Probe, patience: timedelta) -> None:
        """Return when the child serves."""
        began = time.monotonic()
        await child.wait_ready(probe, patience)
        self.show(Prepared(child.name, time.monotonic() - began, child.pid))


async def start_redis_and_triton(workshop: Workshop) -> tuple[str, str]:
    """Return Redis' URL and Triton's address once both serve; empty for what the configuration does not need."""
    settings = workshop.plan.settings
    redis_url = triton_grpc = ""
    async with asyncio.TaskGroup() as ready:
        if settings.local_triton_models:
            triton_grpc = await _start_triton(workshop, ready)
        if settings.needs_redis:
            redis_url = await _start_redis(workshop, ready)
    return redis_url, triton_grpc


async def _start_redis(workshop: Workshop, ready: asyncio.TaskGroup) -> str:
    state = workshop.plan.state
    executable = redis_executable(workshop.plan.settings.local.redis_server)
    command = redis_command(executable, state.redis, state.redis_socket)
    # Without it the gateway counts limits by itself and the cache misses; callers go on.
    redis = await workshop.start(command, workshop.lose)
    ready.create_task(workshop.await_ready(redis, redis_probe(state.redis_socket), _REDIS_TIMEOUT))
    return f"unix://{state.redis_socket}"


async def _start_triton(workshop: Workshop, ready: asyncio.TaskGroup) -> str:
    settings = workshop.plan.settings
    folders = triton_folders(settings.local)
    grpc, metrics = free_addresses(*[(Address(LOOPBACK, 0), "local")] * 2)
    command = triton_server_command(folders, grpc.port, metrics.port, _triton_control(workshop.plan))
    for upstream, models in settings.local_triton_models.items():
        if missing := missing_model(folders, models):
            raise Misconfigured(
                f"the upstream '{upstream}' has the model '{missing}', which {folders.repository} does not hold"
            )
    channel = await workshop.stack.enter_async_context(open_channel(str(grpc)))
    triton = await workshop.start(command)
    ready.create_task(workshop.await_ready(triton, triton_probe(channel), _TRITON_TIMEOUT))
    workshop.triton_grpc = str(grpc)
    return workshop.triton_grpc


def _triton_control(plan: StackPlan) -> ExplicitControl | None:
    if not plan.settings.controls_local_triton:
        return None
    models = {model: None for names in plan.settings.local_triton_models.values() for model in names}
    return ExplicitControl(tuple(models), ensure_key_file(plan.state.triton_key, random_secret))


async def start_edge(
    workshop: Workshop, http: Address, grpc_targets: tuple[str, ...], http_sockets: tuple[Path, ...], grace: timedelta
) -> None:
    """Return when the public HTTP port is open; it answers 503 until the gateway is ready."""
    settings = workshop.plan.settings
    tls = settings.listen.tls
    options = EdgeOptions(
        listen=http,
        gateway_grpc=grpc_targets,
        gateway_sockets=http_sockets,
        token=workshop.plan.edge_token,
        certificate=tls.cert_file if tls else None,
        private_key=tls.key_file if tls else None,
        otlp=settings.telemetry.otlp,
        sample_ratio=sample_ratio(workshop.plan),
        grace=grace,
    )
    edge = await workshop.start(edge_command(edge_executable(settings.local.edge), options))
    probe = edge_probe(http.from_here, "/healthz", tls=tls is not None)
    await workshop.await_ready(edge, probe, _EDGE_TIMEOUT)


def sample_ratio(plan: StackPlan) -> float:
    """Return the share of traces that is kept, with the local stack's default."""
    said = "sample_ratio" in plan.settings.telemetry.model_fields_set
    return plan.settings.telemetry.sample_ratio if said else 1.0

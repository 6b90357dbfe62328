"""The programs of the local stack: Redis and Triton below the services, the edge above them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from penstock_common.rpc.channel import open_channel
from penstock_gateway.settings import BoundsSettings
from penstock_suite.adapters.addresses import LOOPBACK, Address, free_addresses
from penstock_suite.adapters.edge_server import EdgeOptions, edge_command, edge_executable, edge_probe
from penstock_suite.adapters.redis_server import redis_command, redis_executable, redis_probe
from penstock_suite.adapters.state_files import ensure_key_file, random_secret
from penstock_suite.adapters.triton import ExplicitControl, missing_model, triton_probe, triton_server_command
from penstock_suite.app.parts import Part, Workshop, kept_running
from penstock_suite.app.plan import StackPlan, triton_folders
from penstock_suite.domain.failure import Misconfigured

_REDIS_TIMEOUT = timedelta(seconds=20)
# A model of some gigabytes loads for minutes; a dead Triton is seen at once.
_TRITON_TIMEOUT = timedelta(minutes=10)
_EDGE_TIMEOUT = timedelta(seconds=20)
_EDGE_MARGIN = timedelta(seconds=10)


async def start_redis_and_triton(workshop: Workshop) -> tuple[str, str]:
    """Return Redis' URL and Triton's address once both serve; empty for what the configuration does not need."""
    settings = workshop.plan.settings
    redis_url = triton_grpc = ""
    async with asyncio.TaskGroup() as ready:
        if settings.local_triton_models:
            triton_grpc = await _start_triton(workshop, ready)
        if settings.needs_redis:
            redis_url = _start_redis(workshop, ready)
    return redis_url, triton_grpc


def _start_redis(workshop: Workshop, ready: asyncio.TaskGroup) -> str:
    state = workshop.plan.state
    executable = redis_executable(workshop.plan.settings.local.redis_server)
    command = redis_command(executable, state.redis, state.redis_socket)
    # While it is away the gateway counts limits by itself and the cache misses; callers go on.
    part = Part(command, redis_probe(state.redis_socket), _REDIS_TIMEOUT)
    ready.create_task(workshop.stack.enter_async_context(kept_running(workshop, [part])))
    workshop.redis_url = f"unix://{state.redis_socket}"
    return workshop.redis_url


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
        cors_origins=tuple(settings.listen.cors_origins),
        pages=settings.listen.pages,
        otlp=settings.telemetry.otlp,
        sample_ratio=sample_ratio(workshop.plan),
        parent_sampling=settings.telemetry.parent_sampling,
        trusted_proxies=settings.listen.trusted_proxies,
        proxy_protocol=settings.listen.proxy_protocol,
        grace=grace,
        longest_answer=longest_answer(workshop.plan),
    )
    edge = await workshop.start(edge_command(edge_executable(settings.local.edge), options))
    as_proxy = settings.listen.awaits_proxy_header(http.from_here.host)
    probe = edge_probe(http.from_here, "/healthz", tls=tls is not None, as_proxy=as_proxy)
    await workshop.await_ready(edge, probe, _EDGE_TIMEOUT)


def longest_answer(plan: StackPlan) -> timedelta:
    """Return more than the gateway gives any request, so that the edge cuts only what no gateway ends."""
    bounds = plan.configuration().settings(BoundsSettings).gateway
    return max(bounds.unary_timeout, bounds.stream_timeout) + _EDGE_MARGIN


def sample_ratio(plan: StackPlan) -> float:
    """Return the share of traces that is kept, with the local stack's default."""
    said = "sample_ratio" in plan.settings.telemetry.model_fields_set
    return plan.settings.telemetry.sample_ratio if said else 1.0

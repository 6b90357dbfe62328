"""One of several equal processes of a stack: gateway, router, inference and cache in one loop."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from penstock_common.rpc.server import ServerOptions
from penstock_gateway.app.gateway import Listen
from penstock_suite.adapters.first_generation import generate_once
from penstock_suite.adapters.loop_lag import watched_loop
from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.adapters.state_files import read_worker_plan
from penstock_suite.app.role_reload import WorkerReload, configuration_of
from penstock_suite.app.serve import GatewayRole, Run, run_role
from penstock_suite.app.wiring import POINTS, Wiring, all_here, over_socket, public_credentials
from penstock_suite.domain.progress import Serving, Show
from penstock_suite.domain.requests import Role
from penstock_suite.domain.run_record import WorkerPlan
from penstock_suite.settings import RoleSettings


async def work(plan_file: Path, show: Show, began: float) -> None:
    """Run a worker until a signal asks for its end; ``began`` is when the command did, on ``time.monotonic``.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        SuiteFailure: if it cannot listen, or a model of the local Triton does not answer.
    """
    plan = read_worker_plan(plan_file)
    reload = WorkerReload(plan_file, plan)

    def serving() -> Serving:
        return Serving(plan.name, plan.grpc, round(time.monotonic() - began, 3))

    grace = timedelta(seconds=plan.grace_seconds)
    await run_role(Run(lambda: _open(plan, reload.metrics), serving, grace, show, reload))


@asynccontextmanager
async def _open(plan: WorkerPlan, metrics: RevisionMetrics) -> AsyncGenerator[GatewayRole]:
    configuration = configuration_of(plan)
    places = all_here(configuration)
    if plan.embedding_socket:
        # One model for all workers.
        places[Role.EMBEDDING] = lambda: over_socket(f"unix:{plan.embedding_socket}")
    if plan.points_socket:
        # Its folder is one process's.
        places[POINTS] = lambda: over_socket(f"unix:{plan.points_socket}")
    public = configuration.settings(RoleSettings).listen
    listen = Listen(
        grpc=plan.grpc,
        http=f"unix:{plan.http_socket}",
        grpc_options=ServerOptions(
            credentials=public_credentials(public.tls),
            reflection=public.reflection,
            shares_port=True,
            own_address=f"unix:{plan.grpc_socket}",
        ),
    )
    async with AsyncExitStack() as stack:
        wiring = Wiring(configuration, places, stack, [metrics, stack.enter_context(watched_loop())])
        running = await wiring.gateway(listen)
        # Each worker has connections of its own to set up.
        for upstream, models in plan.local_triton_models.items():
            for model in models:
                await generate_once(await wiring.channel(Role.INFERENCE), upstream, model)
        yield GatewayRole(running, wiring)

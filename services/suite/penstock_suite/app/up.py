"""`penstock up`: the whole stack, from the first process to the last."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TextIO

import structlog
from msgspec.structs import replace

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.logging import configure_logging
from penstock_suite.adapters.addresses import Address, free_addresses, parse_address
from penstock_suite.adapters.edge_server import edge_probe
from penstock_suite.adapters.operating_system import (
    favour_the_loop,
    on_signals,
    raise_file_limit,
    return_memory,
    settle_memory,
)
from penstock_suite.adapters.process import came_true
from penstock_suite.adapters.state_files import (
    forget_reloads,
    keep_earlier_logs,
    locked,
    open_state_folder,
    recorded,
    write_run_record,
)
from penstock_suite.app.check import Checked, checked
from penstock_suite.app.documentation import documenting
from penstock_suite.app.gateways import Gateways, gateway_here
from penstock_suite.app.keys import ensure_keys
from penstock_suite.app.local_processes import start_edge, start_redis_and_triton
from penstock_suite.app.parts import Workshop
from penstock_suite.app.plan import StackPlan
from penstock_suite.app.reloading import Reloads
from penstock_suite.app.stack_reload import StackReload, revision_metrics
from penstock_suite.app.warming import cache_facts, warming
from penstock_suite.app.workers import workers_running
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure
from penstock_suite.domain.progress import Draining, Ready, Show, Stopped, curl_for
from penstock_suite.domain.requests import UpRequest
from penstock_suite.domain.run_record import RunningPart, RunRecord

_log = structlog.get_logger(__name__)

_READY_TIMEOUT = timedelta(seconds=10)
# After a part died there is little left to wait for.
_BROKEN_GRACE = timedelta(seconds=5)
_LAST_RESORT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Addresses:
    http: Address
    grpc: Address


async def up(request: UpRequest, show: Show, began: float) -> None:
    """Run the stack until a signal asks for its end; ``began`` is when the command did, on ``time.monotonic``.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        SuiteFailure: if the stack cannot start, or a part of it died.
    """
    running = checked(request.selection)
    plan = running.plan
    open_state_folder(plan.state.root)
    raise_file_limit()
    return_memory()
    favour_the_loop()
    ending, reloads = Ending(), Reloads()
    ending.on_cut(_leave_anyway)
    with locked(plan.state), _own_log(plan) as log, on_signals(ending.ask, reloads.ask):
        configure_logging(stream=log)
        forget_reloads(plan.state)
        for warning in running.warnings:
            _log.warning("configuration_warning", warning=str(warning))
        try:
            workshop = Workshop(plan, AsyncExitStack(), ending, show, began, revision_metrics(running))
            await _run(request, workshop, running, reloads)
        except (SuiteFailure, ConfigurationError):
            raise
        except Exception:
            logging.getLogger(__name__).exception("the stack failed")
            raise
    show(Stopped(at_once=ending.at_once))
    if ending.failure is not None:
        raise ending.failure


@contextmanager
def _own_log(plan: StackPlan) -> Generator[TextIO]:
    """Yield the log of this process, with those of earlier runs out of the way."""
    keep_earlier_logs(plan.state, plan.settings.local.kept_logs)
    descriptor = os.open(plan.state.log("penstock"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as log:
        yield log


def _leave_anyway() -> None:
    # Somebody has asked twice; nothing may keep us longer than this.
    asyncio.get_running_loop().call_later(_LAST_RESORT_SECONDS, os._exit, ExitCode.FAILED)


async def _run(request: UpRequest, workshop: Workshop, running: Checked, reloads: Reloads) -> None:
    ending = workshop.ending
    async with workshop.stack:
        gateways: Gateways | None = None
        with ending.interrupts():
            gateways = await _start(request, workshop)
            reload = StackReload(request.selection, workshop, gateways, running)
            async with reloads.answered(reload.reload), documenting(workshop, gateways):
                await ending.wait()
        if gateways is None:
            return
        grace = request.grace if ending.failure is None else min(request.grace, _BROKEN_GRACE)
        workshop.show(Draining(grace.total_seconds()))
        with ending.cuts():
            await gateways.drain(grace)


async def _start(request: UpRequest, workshop: Workshop) -> Gateways:
    plan, stack = workshop.plan, workshop.stack
    addresses = _free_addresses(plan)
    workshop.cache = cache_facts(plan)
    key = ensure_keys(plan)
    redis_url, triton_grpc = await start_redis_and_triton(workshop)
    configuration = plan.configuration(redis_url=redis_url, triton_grpc=triton_grpc)
    gateways = await stack.enter_async_context(_gateways(request, workshop, configuration, addresses.grpc))
    loaded = await stack.enter_async_context(warming(workshop, gateways))
    await start_edge(workshop, addresses.http, gateways.grpc_targets, gateways.http_sockets, request.grace)
    await gateways.set_ready()
    await _await_readiness(workshop, addresses.http)
    await loaded()
    facts = workshop.cache or cache_facts(plan)
    ready = replace(_ready(plan, addresses, key, time.monotonic() - workshop.began), cache=facts.told)
    record = _record(request, workshop, ready, gateways)
    stack.enter_context(recorded(plan.state, record))
    workshop.on_change = lambda: write_run_record(
        plan.state, replace(record, parts=_parts(workshop), cache=workshop.cache)
    )
    settle_memory()
    workshop.show(ready)
    return gateways


def _gateways(
    request: UpRequest, workshop: Workshop, configuration: Configuration, grpc: Address
) -> AbstractAsyncContextManager[Gateways]:
    if request.workers == 1:
        return gateway_here(workshop, configuration, grpc)
    return workers_running(workshop, configuration, grpc, request.workers, request.grace)


def _free_addresses(plan: StackPlan) -> _Addresses:
    listen = plan.settings.listen
    named = {"listen.http": listen.http, "listen.grpc": listen.grpc}
    if metrics := plan.settings.telemetry.metrics_listen:
        named["telemetry.metrics_listen"] = metrics
    http, grpc, *_ = free_addresses(*((parse_address(text, setting), setting) for setting, text in named.items()))
    if http == grpc:
        raise Misconfigured(f"'listen.http' and 'listen.grpc' are both {http}")
    return _Addresses(http, grpc)


async def _await_readiness(workshop: Workshop, http: Address) -> None:
    listen, here = workshop.plan.settings.listen, http.from_here
    as_proxy = listen.awaits_proxy_header(here.host)
    probe = edge_probe(here, "/readyz", tls=listen.tls is not None, as_proxy=as_proxy)
    if not await came_true(probe, _READY_TIMEOUT):
        raise SuiteFailure(f"the edge does not reach the gateway; see {workshop.plan.state.log('edge')}")


def _ready(plan: StackPlan, addresses: _Addresses, key: str, seconds: float) -> Ready:
    tls = plan.settings.listen.tls is not None
    http = f"{'https' if tls else 'http'}://{addresses.http.from_here}"
    model = plan.settings.models[0].name if plan.settings.models else ""
    return Ready(
        http=http,
        grpc=str(addresses.grpc.from_here),
        key=key,
        model=model,
        curl=curl_for(http, key, model, own_certificate=tls),
        docs=f"{http}/{'docs' if plan.settings.listen.pages else 'openapi.json'}",
        state=str(plan.state.root),
        seconds=round(seconds, 3),
    )


def _record(request: UpRequest, workshop: Workshop, ready: Ready, gateways: Gateways) -> RunRecord:
    selection = request.selection
    return RunRecord(
        pid=os.getpid(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        http=ready.http,
        grpc=ready.grpc,
        gateways=gateways.grpc_targets,
        config=str(selection.config.absolute()) if selection.config else "",
        without_triton=selection.without_triton,
        parts=_parts(workshop),
        triton_grpc=workshop.triton_grpc,
        awaits_proxy_header=_awaits_proxy_header(workshop.plan, ready),
        cache=workshop.cache,
    )


def _awaits_proxy_header(plan: StackPlan, ready: Ready) -> bool:
    return plan.settings.listen.awaits_proxy_header(parse_address(ready.http.partition("://")[2], "http").host)


def _parts(workshop: Workshop) -> tuple[RunningPart, ...]:
    others = (RunningPart(name, pid) for name, pid in workshop.running.items())
    return (RunningPart("penstock", os.getpid()), *others)

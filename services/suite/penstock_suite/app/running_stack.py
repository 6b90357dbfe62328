"""The stack that runs on a state folder: what it runs with, how it is, and whom to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from penstock_suite.adapters.addresses import parse_address
from penstock_suite.adapters.edge_server import OK, Door, http_status
from penstock_suite.adapters.gateway_client import SERVING, gateway_report, health_of
from penstock_suite.adapters.state_files import (
    is_running,
    open_state_folder,
    read_last_reload,
    read_revision,
    read_run_record,
)
from penstock_suite.app.plan import state_root
from penstock_suite.domain.answers import GatewayReport
from penstock_suite.domain.failure import Misconfigured, SuiteFailure, Unreachable
from penstock_suite.domain.requests import GatewayTarget, Selection
from penstock_suite.domain.run_record import PartStatus, RunningPart, RunRecord, StackStatus
from penstock_suite.domain.state_folder import StateFolder

_HTTP_WORDS = {0: "does not answer", OK: "ready", 503: "not ready"}


def as_running(selection: Selection) -> Selection:
    """Return the selection; without a configuration named, with that of the stack that runs on the folder."""
    if selection.config is not None:
        return selection
    record = read_run_record(open_state_folder(state_root(selection.state)))
    if record is None:
        return selection
    config = Path(record.config) if record.config else None
    return replace(selection, config=config, without_triton=record.without_triton)


def runs_with(record: RunRecord, selection: Selection) -> bool:
    """Return whether the stack was started with the selected configuration."""
    return record.config == (str(selection.config.absolute()) if selection.config is not None else "")


def chat_target(selection: Selection, address: str, key: str) -> tuple[str, str]:
    """Return a gRPC address and a key: as given, else those of the state folder.

    Raises:
        SuiteFailure: if nothing runs on the folder and no address is given.
        Misconfigured: if there is no key.
    """
    state = open_state_folder(state_root(selection.state))
    if not address:
        record = read_run_record(state)
        if record is None:
            raise nothing_runs(state, ", or give --address")
        address = record.gateways[0]
    if not key:
        if not state.demo_key.is_file():
            raise Misconfigured("there is no key: give one with --key, or in PENSTOCK_API_KEY")
        key = state.demo_key.read_text(encoding="utf-8").strip()
    return address, key


async def stack_status(selection: Selection) -> StackStatus:
    """Return what the running stack says.

    Raises:
        SuiteFailure: if none runs on the folder.
    """
    state = open_state_folder(state_root(selection.state))
    record = read_run_record(state)
    if record is None:
        raise nothing_runs(state)
    scheme, _, authority = record.http.partition("://")
    async with asyncio.TaskGroup() as asking:
        door = Door(tls=scheme == "https", as_proxy=record.awaits_proxy_header)
        http_told = asking.create_task(http_status(parse_address(authority, "http"), "/readyz", door))
        grpc_told = [asking.create_task(health_of(gateway)) for gateway in record.gateways]
        reports = asking.create_task(_reports(record, state))
    http, grpc = http_told.result(), _worst(told.result() for told in grpc_told)
    own = read_revision(state.revisions, record.parts[0].name)
    return StackStatus(
        ready=http == OK and grpc == SERVING,
        http=record.http,
        http_status=_HTTP_WORDS.get(http, f"answers {http}"),
        grpc=record.grpc,
        grpc_status=grpc,
        state=str(state.root),
        config=record.config,
        started_at=record.started_at,
        revision=own.revision if own is not None else "",
        revision_since=own.since if own is not None else "",
        last_reload=read_last_reload(state),
        parts=tuple(_part(part, state) for part in record.parts),
        gateways=reports.result(),
        cache=record.cache,
    )


def _part(part: RunningPart, state: StateFolder) -> PartStatus:
    said = read_revision(state.revisions, part.name)
    if said is None or said.pid != part.pid:
        return PartStatus(part.name, part.pid, is_running(part.pid))
    return PartStatus(part.name, part.pid, is_running(part.pid), said.revision, said.since, said.problem)


def _worst(told: Iterable[str]) -> str:
    return next((state for state in told if state != SERVING), SERVING)


async def _reports(record: RunRecord, state: StateFolder) -> tuple[GatewayReport, ...]:
    if not state.operator_key.is_file():
        return ()
    key = state.operator_key.read_text(encoding="utf-8").strip()
    told = await asyncio.gather(*(_report(GatewayTarget(grpc_address=gateway, key=key)) for gateway in record.gateways))
    return tuple(report for report in told if report is not None)


async def _report(target: GatewayTarget) -> GatewayReport | None:
    try:
        return await gateway_report(target)
    except SuiteFailure:
        return None


def nothing_runs(state: StateFolder, also: str = "") -> SuiteFailure:
    """Return what to say where no stack is found."""
    return Unreachable(
        f"no stack runs on {state.root}: start one with 'penstock up', "
        f"{'' if also else 'or '}name its folder with --state (that of 'make run' is .state){also}"
    )

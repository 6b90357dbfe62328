"""`penstock status`: ask the stack that runs on a state folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from penstock_suite.adapters.addresses import parse_address
from penstock_suite.adapters.edge_server import OK, http_status
from penstock_suite.adapters.grpc_health import SERVING, health_of
from penstock_suite.adapters.state_files import is_running, open_state_folder, read_run_record
from penstock_suite.adapters.status_client import gateway_report
from penstock_suite.app.plan import state_root
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.gateway_report import GatewayReport
from penstock_suite.domain.requests import Selection, StatusTarget
from penstock_suite.domain.run_record import PartStatus, RunRecord, StackStatus
from penstock_suite.domain.state_folder import StateFolder

_HTTP_WORDS = {0: "does not answer", OK: "ready", 503: "not ready"}


async def stack_status(selection: Selection) -> StackStatus:
    """Return what the running stack says.

    Raises:
        SuiteFailure: if none runs on the folder.
    """
    state = open_state_folder(state_root(selection.state))
    record = read_run_record(state)
    if record is None:
        raise SuiteFailure(
            f"no stack runs on {state.root}: start one with 'penstock up', or name its folder with --state (that of 'make run' is .state)"
        )
    scheme, _, authority = record.http.partition("://")
    async with asyncio.TaskGroup() as asking:
        http_told = asking.create_task(http_status(parse_address(authority, "http"), "/readyz", tls=scheme == "https"))
        grpc_told = [asking.create_task(health_of(gateway)) for gateway in record.gateways]
        reports = asking.create_task(_reports(record, state))
    http, grpc = http_told.result(), _worst(told.result() for told in grpc_told)
    return StackStatus(
        ready=http == OK and grpc == SERVING,
        http=record.http,
        http_status=_HTTP_WORDS.get(http, f"answers {http}"),
        grpc=record.grpc,
        grpc_status=grpc,
        state=str(state.root),
        config=record.config,
        started_at=record.started_at,
        parts=tuple(PartStatus(part.name, part.pid, is_running(part.pid)) for part in record.parts),
        gateways=reports.result(),
    )


def _worst(told: Iterable[str]) -> str:
    return next((state for state in told if state != SERVING), SERVING)


async def _reports(record: RunRecord, state: StateFolder) -> tuple[GatewayReport, ...]:
    if not state.operator_key.is_file():
        return ()
    key = state.operator_key.read_text(encoding="utf-8").strip()
    told = await asyncio.gather(*(_report(StatusTarget(grpc_address=gateway, key=key)) for gateway in record.gateways))
    return tuple(report for report in told if report is not None)


async def _report(target: StatusTarget) -> GatewayReport | None:
    try:
        return await gateway_report(target)
    except SuiteFailure:
        return None

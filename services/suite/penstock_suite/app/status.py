"""`penstock status`: ask the stack that runs on a state folder."""

from __future__ import annotations

import asyncio

from penstock_suite.adapters.addresses import parse_address
from penstock_suite.adapters.edge_server import OK, http_status
from penstock_suite.adapters.grpc_health import health_of
from penstock_suite.adapters.state_files import is_running, open_state_folder, read_run_record
from penstock_suite.app.plan import state_root
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.requests import Selection
from penstock_suite.domain.run_record import PartStatus, StackStatus

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
    http, grpc = await asyncio.gather(
        http_status(parse_address(authority, "http"), "/readyz", tls=scheme == "https"), health_of(record.own_grpc)
    )
    return StackStatus(
        ready=http == OK and grpc == "SERVING",
        http=record.http,
        http_status=_HTTP_WORDS.get(http, f"answers {http}"),
        grpc=record.grpc,
        grpc_status=grpc,
        state=str(state.root),
        config=record.config,
        started_at=record.started_at,
        parts=tuple(PartStatus(part.name, part.pid, is_running(part.pid)) for part in record.parts),
    )

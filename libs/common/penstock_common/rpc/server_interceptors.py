"""What every listener does with every call: whose it is, how long it took, how it ended."""

from __future__ import annotations

import time

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from penstock_common.errors import PenstockError
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.rpc.server_call import ServerCall
from penstock_common.rpc.shedding import Shed
from penstock_common.status import code_of
from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Histograms

_OK = "OK"
_CANCELLED = "CANCELLED"
_INTERNAL = "INTERNAL"
_FINAL = ("grpc-retry-pushback-ms", "-1")

_log = structlog.get_logger(__name__)


class IncomingScope:
    """Takes identity and deadline from a caller inside the suite. Never for a public listener.

    In one process a call runs in its caller's context and needs none of this.
    """

    async def on_start(self, call: ServerCall) -> None:
        """Make the caller's scope the current one."""
        call.scope = replace(RequestScope.from_metadata(call.metadata), deadline=call.deadline)
        CURRENT_SCOPE.set(call.scope)

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Do nothing: the scope ends with the call's task."""


class FinalFailures:
    """Tells the caller's gRPC not to repeat what the service itself refused or failed at (gRFC A6, pushback).

    But for what a process sheds for want of room: the next attempt is another process's turn, and the caller's retry throttle
    sees to it that a service which is full everywhere is not asked more for that. For listeners inside the suite, whose callers
    repeat what the transport lost.
    """

    async def on_start(self, call: ServerCall) -> None:
        """Let the call in."""

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Mark a failure as final."""
        if isinstance(error, Exception) and not isinstance(error, Shed):
            context = call.context
            context.set_trailing_metadata((*(context.trailing_metadata() or ()), _FINAL))


class CallTelemetry:
    """Measures every call, and logs it at the level ``debug``. Give each listener one of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._durations = Histograms(
            registry,
            semconv.METRIC_RPC_DURATION,
            "Seconds a call took, by method and status.",
            ("rpc_method", "rpc_response_status_code"),
            semconv.REQUEST_DURATION_BUCKETS,
        )

    async def on_start(self, call: ServerCall) -> None:
        """Let the call in."""

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Note how it ended."""
        seconds = time.perf_counter() - call.started
        code = status_name(error)
        self._durations.observe((call.path, code), seconds)
        _log.debug("call_ended", method=call.path, code=code, milliseconds=round(seconds * 1e3, 2))


def status_name(error: BaseException | None) -> str:
    """Return the name of the gRPC status that a call ends with."""
    if error is None:
        return _OK
    if isinstance(error, PenstockError):
        return code_of(error).name
    return _INTERNAL if isinstance(error, Exception) else _CANCELLED

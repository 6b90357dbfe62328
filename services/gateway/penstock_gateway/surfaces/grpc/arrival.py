"""A gRPC call's head, and the guard that lets no call in without a caller who may make it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from penstock_common.errors import PenstockError
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.access.policy import policy_of
from penstock_gateway.domain.life.exchange import Observer
from penstock_gateway.surfaces.arrival import Arrival, Reception
from penstock_gateway.surfaces.client_address import grpc_peer

_SURFACE = "grpc"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call whose caller is known and may make it."""

    arrival: Arrival
    caller: Caller


_ADMITTED: ContextVar[Admitted] = ContextVar("penstock_admitted_call")


def admitted() -> Admitted:
    """Return the call that this servicer serves; there is always one behind the guard."""
    return _ADMITTED.get()


class PolicyGuard:
    """Implements ``ServerInterceptor``: no servicer runs before its method's policy is met. Health asks for none."""

    def __init__(self, reception: Reception, observer: Observer) -> None:
        self._reception = reception
        self._observer = observer

    async def on_start(self, call: ServerCall) -> None:
        """Authenticate and authorise.

        Raises:
            ScopeMissing: the method has no policy, or the key lacks its scope.
            PenstockError: as ``Reception.authorise``.
        """
        context = call.context
        headers = {key: value for key, value in call.metadata if isinstance(value, str)}
        arrival = self._reception.receive(_SURFACE, headers, lambda: _peer_of(context))
        try:
            caller = await self._reception.authorise(arrival, policy_of(call.path))
        except PenstockError as error:
            self._observer.turned_away(_SURFACE, error)
            context.set_trailing_metadata((("x-request-id", arrival.request_id),))
            raise
        _ADMITTED.set(Admitted(arrival, caller))

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Do nothing: what was admitted ends with the call's task."""


def _peer_of(context: Any) -> str:
    return grpc_peer(context.peer() or "")


def remaining(call: ServerCall) -> timedelta | None:
    """Return the time until the caller's deadline; None where there is none."""
    seconds = call.seconds_left()
    return None if seconds is None else timedelta(seconds=seconds)

"""A gRPC call's head, and the guard that lets no call in without a caller who may make it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from penstock_common.errors import PenstockError
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.access.identity import Caller, KeyScope
from penstock_gateway.domain.access.policy import policy_of
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.exchange import Observer
from penstock_gateway.surfaces.arrival import Arrival, Reception
from penstock_gateway.surfaces.client_address import grpc_peer
from penstock_gateway.surfaces.grpc.chat_messages import CHAT, STREAM_CHAT
from penstock_gateway.surfaces.grpc.embedding_messages import EMBED

_SURFACE = "grpc"
_SEARCH = "/penstock.gateway.v1.KnowledgeService/Search"
_BEGIN_EXCHANGES = frozenset((CHAT.path, STREAM_CHAT.path, EMBED.path, _SEARCH))


@dataclass(slots=True)
class Admitted:
    """A call whose caller is known and may make it. Once ``is_begun``, its exchange says how it ended."""

    arrival: Arrival
    caller: Caller
    place: Place | None = None
    """Of a request that asks a model; administration needs none."""
    is_begun: bool = False


def place_of(admission: Admitted) -> Place:
    """Return the place of a call that asks a model."""
    assert admission.place is not None, "a method that asks a model and whose policy is another"
    return admission.place


def admitted(call: ServerCall) -> Admitted:
    """Return whose call it is; there is always somebody behind the guard."""
    return cast("Admitted", call.admission)


class PolicyGuard:
    """Implements ``ServerInterceptor``: no servicer runs before its method's policy is met. Health asks for none."""

    def __init__(self, reception: Reception, observer: Observer) -> None:
        self._reception = reception
        self._observer = observer

    async def on_start(self, call: ServerCall) -> None:
        """Authenticate and authorise.

        Raises:
            ScopeMissing: the method has no policy, or the key lacks its scope.
            PenstockError: as ``Reception.authorise`` and ``Door.enter``.
        """
        context = call.context
        headers = {key: value for key, value in call.metadata if isinstance(value, str)}
        # Once is enough: a stream would hold both for as long as it lasts.
        call.metadata = ()
        arrival = self._reception.receive(_SURFACE, headers, lambda: _peer_of(context))
        try:
            policy = policy_of(call.path)
            caller = await self._reception.authorise(arrival, policy)
            enters = policy.narrowest is KeyScope.INFERENCE
            place = self._reception.enter(arrival, caller) if enters else None
        except PenstockError as error:
            self._turn_away(call, arrival, error)
            raise
        call.admission = Admitted(arrival, caller, place)
        call.reader = caller.key_id

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Give the place back, and tell of a request that could not be begun, such as one that cannot be read."""
        admission: Admitted | None = call.admission
        if admission is None or admission.place is None:
            return
        if isinstance(error, PenstockError) and not admission.is_begun:
            admission.place.note_refusal(error)
            if call.path in _BEGIN_EXCHANGES:
                self._turn_away(call, admission.arrival, error)
        admission.place.leave()

    def _turn_away(self, call: ServerCall, arrival: Arrival, error: PenstockError) -> None:
        self._observer.turned_away(_SURFACE, error)
        call.context.set_trailing_metadata((("x-request-id", arrival.request_id),))


def _peer_of(context: Any) -> str:
    return grpc_peer(context.peer() or "")


def remaining(call: ServerCall) -> timedelta | None:
    """Return the time until the caller's deadline; None where there is none."""
    seconds = call.seconds_left()
    return None if seconds is None else timedelta(seconds=seconds)

"""Requests that pass as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from penstock_common.contract.relay import RelayPlace, RelayRequest, RelayResponse, RelayTerms
from penstock_common.contract.wire.relay import FIND_RELAY, RELAY
from penstock_common.rpc.method import Handler, Responses
from penstock_common.rpc.server_call import ServerCall
from penstock_inference.domain.revisions import Revisions


class RelayServicer:
    """Passes what the newest revision lets pass."""

    def __init__(self, revisions: Revisions) -> None:
        self._revisions = revisions

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (FIND_RELAY.served_by(self.find), RELAY.served_by(self.relay))

    async def find(self, place: RelayPlace, call: ServerCall) -> RelayTerms:
        """Return under which terms a request would pass."""
        return self._revisions.newest.relays.find(place)

    def relay(self, requests: AsyncIterator[RelayRequest], call: ServerCall) -> Responses[RelayResponse]:
        """Return what the upstream answers."""
        return self._passed(requests, call)

    async def _passed(self, requests: AsyncIterator[RelayRequest], call: ServerCall) -> AsyncGenerator[RelayResponse]:
        # Whoever has the revision keeps its upstreams open.
        revision = self._revisions.newest
        async with aclosing(revision.relays.pass_on(requests, call.steps, call.scope.priority)) as answer:
            async for response in answer:
                yield response

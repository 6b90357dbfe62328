"""The inference service as ports: who answers what is no conversation, and who passes requests on as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator

from penstock_common.contract.questions import ModerateRequest, ModerateResponse, RerankRequest, RerankResponse
from penstock_common.contract.relay import RelayPlace, RelayRequest, RelayResponse, RelayTerms
from penstock_common.contract.wire.questions import MODERATE, RERANK
from penstock_common.contract.wire.relay import FIND_RELAY, RELAY
from penstock_common.rpc.client import Channel, ResponseStream
from penstock_common.telemetry.steps import Step


class QuestionClient:
    """Implements ``ports.QuestionAnswerer`` and ``ports.Relay``; the request's deadline is the call's."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def rerank(self, request: RerankRequest, steps: list[Step]) -> RerankResponse:
        """Return the ranking."""
        return await self._channel.call(RERANK, request, steps=steps)

    async def moderate(self, request: ModerateRequest, steps: list[Step]) -> ModerateResponse:
        """Return the verdicts."""
        return await self._channel.call(MODERATE, request, steps=steps)

    async def find(self, place: RelayPlace) -> RelayTerms:
        """Return under which terms a request would pass."""
        return await self._channel.call(FIND_RELAY, place)

    def exchange(self, requests: AsyncIterator[RelayRequest], steps: list[Step]) -> ResponseStream[RelayResponse]:
        """Return the answer."""
        return self._channel.exchange(RELAY, requests, steps=steps)

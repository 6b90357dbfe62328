"""The inference service as ports: what generates, what tells of the upstreams, and who does with them as operators say."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.contract.inference import GenerateRequest, RunnableModel, UpstreamOrder, UpstreamPlace
from penstock_common.contract.wire.inference import CONTROL_UPSTREAM, GENERATE, LIST_MODELS, LIST_UPSTREAMS
from penstock_common.llm.types import Batch
from penstock_common.rpc.client import Channel, ResponseStream
from penstock_common.telemetry.steps import Step

_LIST_TIMEOUT_SECONDS = 2.0
_CONTROL_TIMEOUT_SECONDS = 5.0


class InferenceClient:
    """Implements ``ports.Generator``, ``report.Upstreams`` and ``UpstreamPlaces``.

    A generation ends with its request's deadline at the latest.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def generate(
        self, request: GenerateRequest, steps: list[Step], timeout: float | None = None
    ) -> ResponseStream[Batch]:
        """Return the answer; closing it ends the upstream's work."""
        return self._channel.stream(GENERATE, request, timeout=timeout, steps=steps)

    async def models(self) -> Sequence[RunnableModel]:
        """Return every model of every upstream."""
        return await self._channel.call(LIST_MODELS, None, timeout=_LIST_TIMEOUT_SECONDS)

    async def places(self) -> Sequence[UpstreamPlace]:
        """Return every model at every endpoint of every upstream."""
        return await self._channel.call(LIST_UPSTREAMS, None, timeout=_LIST_TIMEOUT_SECONDS)

    async def control(self, order: UpstreamOrder) -> Sequence[UpstreamPlace]:
        """Return the places that were meant, once it is done."""
        return await self._channel.call(CONTROL_UPSTREAM, order, timeout=_CONTROL_TIMEOUT_SECONDS)

"""The services that know models, as ports: the router, which chooses, and inference, which generates and knows the upstreams."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from penstock_common.contract.inference import GenerateRequest, RunnableModel, UpstreamOrder, UpstreamPlace
from penstock_common.contract.router import RouteRequest
from penstock_common.contract.upstream_batches import (
    BegunUpstreamBatch,
    UpstreamBatch,
    UpstreamBatchAnswer,
    UpstreamBatchOrder,
    UpstreamBatchPlace,
)
from penstock_common.contract.wire import inference as inference_wire
from penstock_common.contract.wire import router as router_wire
from penstock_common.contract.wire import upstream_batches as batches_wire
from penstock_common.errors import DeadlineExceeded, ServiceUnavailable
from penstock_common.llm.types import Batch, ModelInfo, Plan, RouteExplanation
from penstock_common.rpc.client import Channel, ResponseStream, is_time_left
from penstock_common.telemetry.steps import Step

_LIST_TIMEOUT_SECONDS = 2.0
_CONTROL_TIMEOUT_SECONDS = 5.0
# The upload of a part, and the download of its answers; then a look at how it stands.
_BEGIN_TIMEOUT_SECONDS, _LOOK_TIMEOUT_SECONDS = 600.0, 60.0


class RouterClient:
    """Implements ``ports.Router``."""

    def __init__(self, channel: Channel, timeout: timedelta) -> None:
        self._channel = channel
        self._timeout_seconds = timeout.total_seconds()

    async def route(self, request: RouteRequest, steps: list[Step]) -> Plan:
        """Return a plan, or raise the domain error that says why there is none."""
        try:
            return await self._channel.call(router_wire.ROUTE, request, timeout=self._timeout_seconds, steps=steps)
        except DeadlineExceeded as error:
            if not is_time_left():
                raise
            raise ServiceUnavailable("The router service is late. Try again.", service="router") from error

    async def explain(self, request: RouteRequest) -> RouteExplanation:
        """Return how a request would be routed now."""
        return await self._channel.call(router_wire.EXPLAIN, request, timeout=self._timeout_seconds)

    async def models(self) -> Sequence[ModelInfo]:
        """Return every public model, sorted by name."""
        return await self._channel.call(router_wire.LIST_MODELS, None, timeout=self._timeout_seconds)


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
        return self._channel.stream(inference_wire.GENERATE, request, timeout=timeout, steps=steps)

    async def models(self) -> Sequence[RunnableModel]:
        """Return every model of every upstream."""
        return await self._channel.call(inference_wire.LIST_MODELS, None, timeout=_LIST_TIMEOUT_SECONDS)

    async def begin_batch(self, order: UpstreamBatchOrder) -> BegunUpstreamBatch:
        """Hand requests over."""
        return await self._channel.call(batches_wire.BEGIN_UPSTREAM_BATCH, order, timeout=_BEGIN_TIMEOUT_SECONDS)

    async def batch(self, place: UpstreamBatchPlace) -> UpstreamBatch:
        """Return how a batch stands."""
        return await self._channel.call(batches_wire.GET_UPSTREAM_BATCH, place, timeout=_LOOK_TIMEOUT_SECONDS)

    async def cancel_batch(self, place: UpstreamBatchPlace) -> UpstreamBatch:
        """Ask for a batch's end."""
        return await self._channel.call(batches_wire.CANCEL_UPSTREAM_BATCH, place, timeout=_LOOK_TIMEOUT_SECONDS)

    def read_batch(self, place: UpstreamBatchPlace) -> ResponseStream[tuple[UpstreamBatchAnswer, ...]]:
        """Return what a batch was answered with."""
        return self._channel.stream(batches_wire.READ_UPSTREAM_BATCH, place, timeout=_BEGIN_TIMEOUT_SECONDS)

    async def places(self) -> Sequence[UpstreamPlace]:
        """Return every model at every endpoint of every upstream."""
        return await self._channel.call(inference_wire.LIST_UPSTREAMS, None, timeout=_LIST_TIMEOUT_SECONDS)

    async def control(self, order: UpstreamOrder) -> Sequence[UpstreamPlace]:
        """Return the places that were meant, once it is done."""
        return await self._channel.call(inference_wire.CONTROL_UPSTREAM, order, timeout=_CONTROL_TIMEOUT_SECONDS)

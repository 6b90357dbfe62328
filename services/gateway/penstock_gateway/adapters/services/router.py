"""The router service as a port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc

from penstock.router.v1 import router_service_pb2 as pb
from penstock.router.v1 import router_service_pb2_grpc
from penstock_common.llm.convert import plan_from_proto
from penstock_common.llm.types import GenerationInput
from penstock_common.rpc.channel import translated
from penstock_common.telemetry.steps import steps_from_metadata
from penstock_gateway.adapters.services.wire import WireInputs
from penstock_gateway.domain.ports import ModelInfo, Routed

if TYPE_CHECKING:
    from penstock.router.v1.router_service_pb2_grpc import RouterServiceAsyncStub

_SERVICE = "router"


class RouterClient:
    """Implements ``ports.Router`` over a stub."""

    def __init__(self, channel: Any, inputs: WireInputs, timeout: timedelta) -> None:
        self._stub: RouterServiceAsyncStub = router_service_pb2_grpc.RouterServiceStub(channel)  # type: ignore[assignment]  # one class serves both at run time
        self._inputs = inputs
        self._timeout_seconds = timeout.total_seconds()

    async def route(self, request: GenerationInput, allowed_regions: Sequence[str]) -> Routed:
        """Return a plan, or raise the domain error that says why there is none."""
        message = pb.RouteRequest(input=self._inputs.of(request), allowed_regions=allowed_regions)
        call = self._stub.Route(message, timeout=self._timeout_seconds)
        try:
            response = await call
        except grpc.aio.AioRpcError as error:
            raise translated(error, _SERVICE) from error
        return Routed(plan_from_proto(response.plan), steps_from_metadata(await call.trailing_metadata()))

    async def models(self) -> list[ModelInfo]:
        """Return every public model, sorted by name."""
        try:
            response = await self._stub.ListModels(pb.ListModelsRequest(), timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise translated(error, _SERVICE) from error
        return [
            ModelInfo(model.name, tuple(model.capabilities), model.context_window_tokens) for model in response.models
        ]

"""The upstreams' models, as the inference service lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from penstock.inference.v1 import inference_service_pb2 as pb
from penstock.inference.v1 import inference_service_pb2_grpc
from penstock_common.rpc.channel import translated
from penstock_gateway.domain.gateway_status import ModelState, UpstreamModel

if TYPE_CHECKING:
    from penstock.inference.v1.inference_service_pb2_grpc import InferenceServiceAsyncStub

_SERVICE = "inference"
_TIMEOUT_SECONDS = 2.0
_STATES: dict[int, ModelState] = {
    pb.MODEL_STATE_READY: ModelState.READY,
    pb.MODEL_STATE_LOADING: ModelState.LOADING,
    pb.MODEL_STATE_UNLOADING: ModelState.UNLOADING,
    pb.MODEL_STATE_UNAVAILABLE: ModelState.UNAVAILABLE,
}


class UpstreamsClient:
    """Implements ``gateway_status.Upstreams`` over a stub."""

    def __init__(self, channel: Any) -> None:
        self._stub: InferenceServiceAsyncStub = inference_service_pb2_grpc.InferenceServiceStub(channel)  # type: ignore[assignment]  # one class serves both at run time

    async def models(self) -> list[UpstreamModel]:
        """Return every model of every upstream."""
        try:
            response = await self._stub.ListModels(pb.ListModelsRequest(), timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise translated(error, _SERVICE) from error
        return [
            UpstreamModel(
                model.candidate.upstream,
                model.candidate.model,
                _STATES.get(model.state, ModelState.UNTOLD),
                model.state_reason,
            )
            for model in response.models
        ]

"""ModelService: what the caller's key may ask for."""

from __future__ import annotations

from penstock.gateway.v1 import model_service_pb2 as pb
from penstock_common.llm.types import ModelInfo
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.grpc.arrival import admitted


class ModelServicer:
    """Serves the models that a key may use."""

    def __init__(self, directory: ModelDirectory) -> None:
        self._directory = directory

    async def ListModels(self, request: pb.ListModelsRequest, call: ServerCall) -> pb.ListModelsResponse:
        """Return the models the key may use, by name."""
        visible = await self._directory.visible_to(admitted().caller)
        return pb.ListModelsResponse(models=[_model(info) for info in visible])

    async def GetModel(self, request: pb.GetModelRequest, call: ServerCall) -> pb.GetModelResponse:
        """Return one model that the key may use."""
        return pb.GetModelResponse(model=_model(await self._directory.find(admitted().caller, request.name)))


def _model(info: ModelInfo) -> pb.Model:
    return pb.Model(name=info.name, capabilities=info.capabilities, context_window_tokens=info.context_window_tokens)

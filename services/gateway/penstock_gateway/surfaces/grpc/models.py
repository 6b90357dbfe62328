"""ModelService: what the caller's key may ask for."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.gateway.v1 import model_service_pb2 as pb
from penstock_common.llm.convert import unit_prices_to_proto
from penstock_common.llm.types import ModelInfo
from penstock_common.rpc.method import Handler, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec, unread, unwritten
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.grpc.arrival import admitted

_SERVICE = "/penstock.gateway.v1.ModelService/"


class ModelServicer:
    """Serves the models that a key may use."""

    def __init__(self, directory: ModelDirectory) -> None:
        self._directory = directory

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return _LIST_MODELS.served_by(self.list_models), _GET_MODEL.served_by(self.get_model)

    async def list_models(self, _: None, call: ServerCall) -> Sequence[ModelInfo]:
        """Return the models the key may use, by name."""
        return await self._directory.visible_to(admitted(call).caller)

    async def get_model(self, name: str, call: ServerCall) -> ModelInfo:
        """Return one model that the key may use."""
        return await self._directory.find(admitted(call).caller, name)


def _model(info: ModelInfo) -> pb.Model:
    return pb.Model(
        name=info.name,
        capabilities=info.capabilities,
        context_window_tokens=info.context_window_tokens,
        prices=None if info.prices is None else unit_prices_to_proto(info.prices),
    )


_LIST_MODELS = UnaryMethod[None, Sequence[ModelInfo]](
    f"{_SERVICE}ListModels",
    ProtobufCodec(pb.ListModelsRequest, unwritten, lambda _: None),
    ProtobufCodec(
        pb.ListModelsResponse,
        lambda models: pb.ListModelsResponse(models=[_model(info) for info in models]),
        unread,
    ),
)
_GET_MODEL = UnaryMethod[str, ModelInfo](
    f"{_SERVICE}GetModel",
    ProtobufCodec(pb.GetModelRequest, unwritten, lambda message: message.name),
    ProtobufCodec(pb.GetModelResponse, lambda info: pb.GetModelResponse(model=_model(info)), unread),
)

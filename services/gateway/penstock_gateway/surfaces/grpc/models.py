"""ModelService: what the caller's key may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from penstock.gateway.v1 import model_service_pb2 as pb
from penstock_common.llm.convert import (
    context_from_proto,
    explanation_to_proto,
    input_from_proto,
    unit_prices_to_proto,
)
from penstock_common.llm.types import GenerationInput, ModelInfo, RequestContext, RouteExplanation
from penstock_common.rpc.method import Handler, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec, unread, unwritten
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.life.validation import validate_input
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.surfaces.grpc.arrival import admitted

_SERVICE = "/penstock.gateway.v1.ModelService/"


class ModelServicer:
    """Serves the models that a key may use."""

    def __init__(self, directory: ModelDirectory) -> None:
        self._directory = directory

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (
            _LIST_MODELS.served_by(self.list_models),
            _GET_MODEL.served_by(self.get_model),
            _EXPLAIN_ROUTE.served_by(self.explain_route),
        )

    async def list_models(self, _: None, call: ServerCall) -> Sequence[ModelInfo]:
        """Return the models the key may use, by name."""
        return await self._directory.visible_to(admitted(call).caller)

    async def get_model(self, name: str, call: ServerCall) -> ModelInfo:
        """Return one model that the key may use."""
        return await self._directory.find(admitted(call).caller, name)

    async def explain_route(self, asked: _Asked, call: ServerCall) -> RouteExplanation:
        """Return how a request of the key's would be routed now."""
        validate_input(asked.input)
        return await self._directory.explain(admitted(call).caller, asked.input, asked.context)


class _Asked(NamedTuple):
    input: GenerationInput
    context: RequestContext


def _asked(message: pb.ExplainRouteRequest) -> _Asked:
    return _Asked(input_from_proto(message.input), context_from_proto(message.context))


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
_EXPLAIN_ROUTE = UnaryMethod[_Asked, RouteExplanation](
    f"{_SERVICE}ExplainRoute",
    ProtobufCodec(pb.ExplainRouteRequest, unwritten, _asked),
    ProtobufCodec(
        pb.ExplainRouteResponse,
        lambda found: pb.ExplainRouteResponse(explanation=explanation_to_proto(found)),
        unread,
    ),
)
_GET_MODEL = UnaryMethod[str, ModelInfo](
    f"{_SERVICE}GetModel",
    ProtobufCodec(pb.GetModelRequest, unwritten, lambda message: message.name),
    ProtobufCodec(pb.GetModelResponse, lambda info: pb.GetModelResponse(model=_model(info)), unread),
)

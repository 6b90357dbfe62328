"""``penstock.inference.v1`` on the wire."""

from __future__ import annotations

from typing import Any

from penstock.inference.v1 import inference_service_pb2 as pb
from penstock_common.contract.inference import (
    GenerateRequest,
    ModelState,
    RunnableModel,
    UpstreamOrder,
    UpstreamPlace,
)
from penstock_common.contract.wire.upstream_batches import kept_from, kept_to
from penstock_common.contract.wire.upstreams import order_from, order_to, place_from, place_to
from penstock_common.llm.convert import (
    candidate_from_proto,
    candidate_to_proto,
    event_from_proto,
    event_to_proto,
    input_from_proto,
    input_to_proto,
    plan_from_proto,
    plan_to_proto,
)
from penstock_common.llm.convert.priority import priority_from_proto, priority_to_proto
from penstock_common.llm.types import Batch, Candidate
from penstock_common.priority import Priority
from penstock_common.rpc.method import StreamMethod, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.inference.v1.InferenceService/"
_CAPABILITY_FROM: dict[int, str] = {
    number: name.removeprefix("CAPABILITY_").lower() for name, number in pb.Capability.items() if number
}
_CAPABILITY_TO: dict[str, Any] = {name: number for number, name in _CAPABILITY_FROM.items()}

_STATE_TO: dict[ModelState, Any] = {
    ModelState.UNTOLD: pb.MODEL_STATE_UNSPECIFIED,
    ModelState.READY: pb.MODEL_STATE_READY,
    ModelState.LOADING: pb.MODEL_STATE_LOADING,
    ModelState.UNLOADING: pb.MODEL_STATE_UNLOADING,
    ModelState.UNAVAILABLE: pb.MODEL_STATE_UNAVAILABLE,
}
_STATE_FROM: dict[int, ModelState] = {number: state for state, number in _STATE_TO.items()}


def _generate_to(value: GenerateRequest) -> pb.GenerateRequest:
    return pb.GenerateRequest(
        input=input_to_proto(value.input),
        plan=plan_to_proto(value.plan),
        whole=value.whole,
        batches=value.batches,
        no_recovery=not value.may_recover,
        no_hedging=not value.may_hedge,
        priority=priority_to_proto(value.priority),
        given=[event_to_proto(event) for event in value.given],
        given_is_owed=value.given_is_owed,
        kept=None if value.kept is None else kept_to(value.kept),
    )


def _generate_from(message: pb.GenerateRequest) -> GenerateRequest:
    return GenerateRequest(
        input=input_from_proto(message.input),
        plan=plan_from_proto(message.plan),
        whole=message.whole,
        batches=message.batches,
        may_recover=not message.no_recovery,
        may_hedge=not message.no_hedging,
        priority=priority_from_proto(message.priority) or Priority.DEFAULT,
        given=tuple([event_from_proto(event) for event in message.given]),
        given_is_owed=message.given_is_owed,
        kept=kept_from(message.kept) if message.HasField("kept") else None,
    )


def _events_to(batch: Batch) -> pb.GenerateResponse:
    return pb.GenerateResponse(events=[event_to_proto(event) for event in batch])


def _events_from(message: pb.GenerateResponse) -> Batch:
    return [event_from_proto(event) for event in message.events]


def _model_to(model: RunnableModel) -> pb.Model:
    return pb.Model(
        candidate=candidate_to_proto(model.candidate),
        context_window_tokens=model.context_window_tokens,
        capabilities=sorted(_CAPABILITY_TO[name] for name in model.capabilities if name in _CAPABILITY_TO),
        state=_STATE_TO[model.state],
        state_reason=model.state_reason,
        is_controllable=model.is_controllable,
        takes_batches=model.takes_batches,
    )


def _model_from(message: pb.Model) -> RunnableModel:
    return RunnableModel(
        candidate=candidate_from_proto(message.candidate),
        context_window_tokens=message.context_window_tokens,
        capabilities=frozenset(
            _CAPABILITY_FROM[number] for number in message.capabilities if number in _CAPABILITY_FROM
        ),
        state=_STATE_FROM.get(message.state, ModelState.UNTOLD),
        state_reason=message.state_reason,
        is_controllable=message.is_controllable,
        takes_batches=message.takes_batches,
    )


GENERATE = StreamMethod[GenerateRequest, Batch](
    f"{_SERVICE}Generate",
    ProtobufCodec(pb.GenerateRequest, _generate_to, _generate_from),
    ProtobufCodec(pb.GenerateResponse, _events_to, _events_from),
)
LIST_MODELS = UnaryMethod[None, tuple[RunnableModel, ...]](
    f"{_SERVICE}ListModels",
    ProtobufCodec(pb.ListModelsRequest, lambda _: pb.ListModelsRequest(), lambda _: None),
    ProtobufCodec(
        pb.ListModelsResponse,
        lambda models: pb.ListModelsResponse(models=[_model_to(model) for model in models]),
        lambda message: tuple(_model_from(model) for model in message.models),
    ),
)
LOAD_MODEL = UnaryMethod[Candidate, RunnableModel](
    f"{_SERVICE}LoadModel",
    ProtobufCodec(
        pb.LoadModelRequest,
        lambda candidate: pb.LoadModelRequest(candidate=candidate_to_proto(candidate)),
        lambda message: candidate_from_proto(message.candidate),
    ),
    ProtobufCodec(
        pb.LoadModelResponse,
        lambda model: pb.LoadModelResponse(model=_model_to(model)),
        lambda message: _model_from(message.model),
    ),
)
UNLOAD_MODEL = UnaryMethod[Candidate, RunnableModel](
    f"{_SERVICE}UnloadModel",
    ProtobufCodec(
        pb.UnloadModelRequest,
        lambda candidate: pb.UnloadModelRequest(candidate=candidate_to_proto(candidate)),
        lambda message: candidate_from_proto(message.candidate),
    ),
    ProtobufCodec(
        pb.UnloadModelResponse,
        lambda model: pb.UnloadModelResponse(model=_model_to(model)),
        lambda message: _model_from(message.model),
    ),
)
LIST_UPSTREAMS = UnaryMethod[None, tuple[UpstreamPlace, ...]](
    f"{_SERVICE}ListUpstreams",
    ProtobufCodec(pb.ListUpstreamsRequest, lambda _: pb.ListUpstreamsRequest(), lambda _: None),
    ProtobufCodec(
        pb.ListUpstreamsResponse,
        lambda places: pb.ListUpstreamsResponse(places=[place_to(place) for place in places]),
        lambda message: tuple(place_from(place) for place in message.places),
    ),
)
CONTROL_UPSTREAM = UnaryMethod[UpstreamOrder, tuple[UpstreamPlace, ...]](
    f"{_SERVICE}ControlUpstream",
    ProtobufCodec(pb.ControlUpstreamRequest, order_to, order_from),
    ProtobufCodec(
        pb.ControlUpstreamResponse,
        lambda places: pb.ControlUpstreamResponse(places=[place_to(place) for place in places]),
        lambda message: tuple(place_from(place) for place in message.places),
    ),
)

"""``penstock.inference.v1.InferenceService``: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from penstock.inference.v1 import inference_service_pb2 as pb
from penstock.inference.v1.inference_service_pb2_grpc import InferenceServiceServicer
from penstock_common import errors
from penstock_common.llm.convert import (
    UnknownRoleError,
    candidate_from_proto,
    candidate_to_proto,
    event_to_proto,
    input_from_proto,
    plan_from_proto,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.attempt_loop import AttemptLoop, Generation
from penstock_inference.domain.catalogue import Capability
from penstock_inference.domain.model_control import ListedModel, ModelAdministration, ModelState

_CAPABILITIES: dict[Capability, Any] = {
    capability: pb.Capability.Value(f"CAPABILITY_{capability.name}") for capability in Capability
}

_STATES: dict[ModelState, Any] = {
    ModelState.UNTOLD: pb.MODEL_STATE_UNSPECIFIED,
    **{
        state: pb.ModelState.Value(f"MODEL_STATE_{state.name}")
        for state in ModelState
        if state is not ModelState.UNTOLD
    },
}


class InferenceServicer(InferenceServiceServicer):
    """Runs plans; the steps of the attempts come back in trailing metadata, also when all fail."""

    def __init__(self, attempt_loop: AttemptLoop, models: ModelAdministration) -> None:
        self._attempt_loop = attempt_loop
        self._models = models

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> AsyncIterator[pb.GenerateResponse]:
        """Yield the events of one answer."""
        steps = Steps()
        try:
            generation = generation_from_request(request, context.time_remaining())
            async with aclosing(self._attempt_loop.generate(generation, steps)) as events:
                async for event in events:
                    yield pb.GenerateResponse(event=event_to_proto(event))
        finally:
            context.set_trailing_metadata((steps.to_metadata(),))

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """Return the models of the catalogue, with their states."""
        return pb.ListModelsResponse(models=[_model_to_proto(listed) for listed in await self._models.list()])

    async def LoadModel(self, request: pb.LoadModelRequest, context: Any) -> pb.LoadModelResponse:
        """Return the model once it serves."""
        listed = await self._models.load(candidate_from_proto(request.candidate))
        return pb.LoadModelResponse(model=_model_to_proto(listed))

    async def UnloadModel(self, request: pb.UnloadModelRequest, context: Any) -> pb.UnloadModelResponse:
        """Return the model once it takes nothing new."""
        listed = await self._models.unload(candidate_from_proto(request.candidate))
        return pb.UnloadModelResponse(model=_model_to_proto(listed))


def generation_from_request(request: pb.GenerateRequest, seconds_left: float | None) -> Generation:
    """Return the request's value.

    Raises:
        InvalidRequest: if a turn has no role that we know.
    """
    try:
        value = input_from_proto(request.input)
    except UnknownRoleError as error:
        raise errors.InvalidRequest("A message needs a known role.", field=f"input.{error}") from None
    return Generation(value, plan_from_proto(request.plan), seconds_left)


def _model_to_proto(listed: ListedModel) -> pb.Model:
    model, status = listed.model, listed.status
    return pb.Model(
        candidate=candidate_to_proto(model.candidate),
        context_window_tokens=model.context_window_tokens,
        capabilities=[number for capability, number in _CAPABILITIES.items() if capability in model.capabilities],
        state=_STATES[status.state],
        state_reason=status.reason,
        is_controllable=listed.is_controllable,
    )

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
    candidate_to_proto,
    event_to_proto,
    input_from_proto,
    plan_from_proto,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.attempt_loop import AttemptLoop, Generation
from penstock_inference.domain.catalogue import Capability, Catalogue, Model

_CAPABILITIES: dict[Capability, Any] = {
    capability: pb.Capability.Value(f"CAPABILITY_{capability.name}") for capability in Capability
}


class InferenceServicer(InferenceServiceServicer):
    """Runs plans; the steps of the attempts come back in trailing metadata, also when all fail."""

    def __init__(self, attempt_loop: AttemptLoop, catalogue: Catalogue) -> None:
        self._attempt_loop = attempt_loop
        self._catalogue = catalogue

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
        """Return the models of the catalogue."""
        return pb.ListModelsResponse(models=[_model_to_proto(model) for model in self._catalogue])


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


def _model_to_proto(model: Model) -> pb.Model:
    return pb.Model(
        candidate=candidate_to_proto(model.candidate),
        context_window_tokens=model.context_window_tokens,
        capabilities=[number for capability, number in _CAPABILITIES.items() if capability in model.capabilities],
    )

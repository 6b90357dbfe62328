"""RouterService: convert, decide, convert."""

from __future__ import annotations

from typing import Any

from penstock.router.v1 import router_service_pb2 as pb
from penstock.router.v1 import router_service_pb2_grpc
from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert import UnknownRoleError, input_from_proto, plan_to_proto
from penstock_common.telemetry.steps import Steps
from penstock_router.domain.catalogue import PublicModel
from penstock_router.domain.routing import Router


class RouterServicer(router_service_pb2_grpc.RouterServiceServicer):
    """Serves a ``Router``."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def Route(self, request: pb.RouteRequest, context: Any) -> pb.RouteResponse:
        """Return the plan for a request."""
        steps = Steps()
        with steps.step("router.plan") as step:
            try:
                plan = self._router.plan(input_from_proto(request.input), request.allowed_regions)
            except UnknownRoleError as error:
                raise InvalidRequest(f"{error} is not a known role.", field=f"input.{error}") from None
            step.attributes = {"candidates": len(plan.candidates), "reason": plan.reason}
        context.set_trailing_metadata((steps.to_metadata(),))
        return pb.RouteResponse(plan=plan_to_proto(plan))

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """Return the public models, sorted by name."""
        return pb.ListModelsResponse(models=[_model_to_proto(model) for model in self._router.models()])


def _model_to_proto(model: PublicModel) -> pb.PublicModel:
    return pb.PublicModel(
        name=model.name,
        capabilities=sorted(model.capabilities),
        context_window_tokens=model.context_window_tokens,
    )

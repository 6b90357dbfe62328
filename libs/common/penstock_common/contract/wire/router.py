"""``penstock.router.v1`` on the wire."""

from __future__ import annotations

from penstock.router.v1 import router_service_pb2 as pb
from penstock_common.contract.router import Policy, Requirements, RouteRequest, Subject, requirements_of
from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert import (
    explanation_from_proto,
    explanation_to_proto,
    input_from_proto,
    plan_from_proto,
    plan_to_proto,
    unit_prices_from_proto,
    unit_prices_to_proto,
)
from penstock_common.llm.types import ModelInfo, Plan, RouteExplanation
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.router.v1.RouterService/"
_POLICIES = {
    Policy.BALANCED: pb.POLICY_BALANCED,
    Policy.COST: pb.POLICY_COST,
    Policy.LATENCY: pb.POLICY_LATENCY,
    Policy.QUALITY: pb.POLICY_QUALITY,
}
_POLICY_OF = {number: policy for policy, number in _POLICIES.items()}


def _route_request_to(value: RouteRequest) -> pb.RouteRequest:
    needs, subject, models = value.requirements, value.subject, value.allowed_models
    return pb.RouteRequest(
        model=value.model,
        requirements=pb.Requirements(capabilities=sorted(needs.capabilities), min_input_tokens=needs.min_input_tokens),
        allowed_regions=value.allowed_regions,
        subject=None
        if subject is None
        else pb.Subject(text=subject.text, earlier=subject.earlier, turns=subject.turns),
        tenant=value.tenant,
        tags=dict(value.tags),
        allowed_models=None if models is None else pb.ModelNames(names=models),
        output_tokens=value.output_tokens,
        policy=pb.POLICY_UNSPECIFIED if value.policy is None else _POLICIES[value.policy],
    )


def _route_request_from(message: pb.RouteRequest) -> RouteRequest:
    regions = tuple(message.allowed_regions)
    if message.HasField("input"):
        # A gateway of 0.1.
        asked = input_from_proto(message.input)
        return RouteRequest(model=asked.model, requirements=requirements_of(asked), allowed_regions=regions)
    if not message.HasField("requirements"):
        # A request that needs nothing would go anywhere.
        raise InvalidRequest("The request says neither what it needs nor what it asks.", field="requirements")
    needs, subject = message.requirements, message.subject
    return RouteRequest(
        model=message.model,
        requirements=Requirements(capabilities=frozenset(needs.capabilities), min_input_tokens=needs.min_input_tokens),
        allowed_regions=regions,
        subject=Subject(subject.text, subject.earlier, subject.turns) if message.HasField("subject") else None,
        tenant=message.tenant,
        tags=tuple(sorted(message.tags.items())),
        allowed_models=tuple(message.allowed_models.names) if message.HasField("allowed_models") else None,
        output_tokens=message.output_tokens,
        policy=_POLICY_OF.get(message.policy),
    )


def _plan_to(value: Plan) -> pb.RouteResponse:
    return pb.RouteResponse(plan=plan_to_proto(value))


def _plan_from(message: pb.RouteResponse) -> Plan:
    return plan_from_proto(message.plan)


def _models_to(value: tuple[ModelInfo, ...]) -> pb.ListModelsResponse:
    return pb.ListModelsResponse(
        models=[
            pb.PublicModel(
                name=model.name,
                capabilities=model.capabilities,
                context_window_tokens=model.context_window_tokens,
                prices=None if model.prices is None else unit_prices_to_proto(model.prices),
            )
            for model in value
        ]
    )


def _models_from(message: pb.ListModelsResponse) -> tuple[ModelInfo, ...]:
    return tuple(
        ModelInfo(
            name=model.name,
            capabilities=tuple(model.capabilities),
            context_window_tokens=model.context_window_tokens,
            prices=unit_prices_from_proto(model.prices) if model.HasField("prices") else None,
        )
        for model in message.models
    )


ROUTE = UnaryMethod[RouteRequest, Plan](
    f"{_SERVICE}Route",
    ProtobufCodec(pb.RouteRequest, _route_request_to, _route_request_from),
    ProtobufCodec(pb.RouteResponse, _plan_to, _plan_from),
)
EXPLAIN = UnaryMethod[RouteRequest, RouteExplanation](
    f"{_SERVICE}Explain",
    ProtobufCodec(
        pb.ExplainRequest,
        lambda value: pb.ExplainRequest(request=_route_request_to(value)),
        lambda message: _route_request_from(message.request),
    ),
    ProtobufCodec(
        pb.ExplainResponse,
        lambda value: pb.ExplainResponse(explanation=explanation_to_proto(value)),
        lambda message: explanation_from_proto(message.explanation),
    ),
)
LIST_MODELS = UnaryMethod[None, tuple[ModelInfo, ...]](
    f"{_SERVICE}ListModels",
    ProtobufCodec(pb.ListModelsRequest, lambda _: pb.ListModelsRequest(), lambda _: None),
    ProtobufCodec(pb.ListModelsResponse, _models_to, _models_from),
)

"""The public ModelService, as far as routes go, over penstock-proto's stubs."""

from __future__ import annotations

from typing import Any

import grpc

from penstock.gateway.v1 import model_service_pb2 as pb
from penstock.gateway.v1 import model_service_pb2_grpc as rpc
from penstock.llm.v1 import generation_pb2 as gen
from penstock.llm.v1 import message_pb2 as msg
from penstock_common.rpc.channel import open_channel
from penstock_suite.adapters.chat_client import credentials_of, failure_of
from penstock_suite.domain.requests import ChatTarget
from penstock_suite.domain.routes import CandidateRow, RouteDecision, RouteExplanation, RouteQuestion

_TIMEOUT_SECONDS = 10.0
_NANO_USD = 1e9


async def explain_route(target: ChatTarget, question: RouteQuestion) -> RouteExplanation:
    """Return how a request of the target's key would be routed.

    Raises:
        SuiteFailure: if nobody answers there, or the key or the model is refused.
    """
    asked = msg.Message(role=msg.ROLE_USER, parts=[msg.ContentPart(text=question.prompt)])
    request = pb.ExplainRouteRequest(
        input=gen.GenerationInput(model=question.model, messages=[asked]),
        context=gen.RequestContext(tags=question.tags),
    )
    async with open_channel(target.grpc_address) as channel:
        stub: Any = rpc.ModelServiceStub(channel)
        try:
            answer = await stub.ExplainRoute(request, metadata=credentials_of(target), timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise failure_of(error, target) from None
    return _explanation(answer.explanation)


def _explanation(found: gen.RouteExplanation) -> RouteExplanation:
    return RouteExplanation(
        reason=found.plan.reason,
        refusal=found.refusal,
        decision=_decision(found.plan.decision) if found.plan.HasField("decision") else None,
        candidates=[_row(view) for view in found.candidates],
    )


def _decision(found: gen.Decision) -> RouteDecision:
    return RouteDecision(
        model=found.model,
        by=found.by,
        task=found.task,
        complexity=found.complexity,
        task_confidence=round(found.task_confidence, 4),
        complexity_confidence=round(found.complexity_confidence, 4),
        abstains=found.abstains,
        by_vector=found.by_vector,
        classifier=found.classifier,
        passed_over=list(found.passed_over),
    )


def _row(view: gen.CandidateView) -> CandidateRow:
    prices = view.prices
    return CandidateRow(
        model=view.model,
        candidate=f"{view.candidate.upstream}/{view.candidate.model}",
        rank=view.rank or None,
        objection=view.objection,
        region=view.region,
        context_window_tokens=view.context_window_tokens,
        input_usd=None if prices.is_unknown else prices.input_nano_usd / _NANO_USD,
        output_usd=None if prices.is_unknown else prices.output_nano_usd / _NANO_USD,
        condition=view.condition,
        latency_ms=round(view.latency_seconds * 1e3, 1) if view.HasField("latency_seconds") else None,
    )

"""``penstock.inference.v1.QuestionService`` on the wire."""

from __future__ import annotations

from penstock.inference.v1 import question_service_pb2 as pb
from penstock_common.contract.questions import (
    AnsweredQuestion,
    ModeratedContent,
    ModeratedImage,
    ModeratedPart,
    ModeratedText,
    ModerateRequest,
    ModerateResponse,
    RankedDocument,
    RerankRequest,
    RerankResponse,
    Verdict,
    VerdictCategory,
)
from penstock_common.llm.convert import (
    candidate_from_proto,
    candidate_to_proto,
    plan_from_proto,
    plan_to_proto,
    unit_prices_from_proto,
    unit_prices_to_proto,
)
from penstock_common.llm.convert.priority import priority_from_proto, priority_to_proto
from penstock_common.priority import Priority
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.inference.v1.QuestionService/"


def _rerank_to(value: RerankRequest) -> pb.RerankRequest:
    return pb.RerankRequest(
        query=value.query,
        documents=value.documents,
        top_n=value.top_n,
        max_tokens_per_document=value.max_tokens_per_document,
        plan=plan_to_proto(value.plan),
        priority=priority_to_proto(value.priority),
    )


def _rerank_from(message: pb.RerankRequest) -> RerankRequest:
    return RerankRequest(
        query=message.query,
        documents=tuple(message.documents),
        top_n=message.top_n,
        max_tokens_per_document=message.max_tokens_per_document,
        plan=plan_from_proto(message.plan),
        priority=priority_from_proto(message.priority) or Priority.DEFAULT,
    )


def _answered_to(value: AnsweredQuestion) -> pb.AnsweredQuestion:
    return pb.AnsweredQuestion(
        answered_by=candidate_to_proto(value.answered_by),
        input_tokens=value.input_tokens,
        is_estimated=value.is_estimated,
        search_units=value.search_units,
        unit_prices=unit_prices_to_proto(value.unit_prices),
        cost_nano_usd=value.cost_nano_usd,
        attempts=value.attempts,
    )


def _answered_from(message: pb.AnsweredQuestion) -> AnsweredQuestion:
    return AnsweredQuestion(
        answered_by=candidate_from_proto(message.answered_by),
        input_tokens=message.input_tokens,
        is_estimated=message.is_estimated,
        search_units=message.search_units,
        unit_prices=unit_prices_from_proto(message.unit_prices),
        cost_nano_usd=message.cost_nano_usd,
        attempts=message.attempts,
    )


def _reranked_to(value: RerankResponse) -> pb.RerankResponse:
    return pb.RerankResponse(
        ranked=[pb.RankedDocument(index=one.index, score=one.score) for one in value.ranked],
        answered=_answered_to(value.answered),
    )


def _reranked_from(message: pb.RerankResponse) -> RerankResponse:
    ranked = tuple([RankedDocument(one.index, one.score) for one in message.ranked])
    return RerankResponse(ranked, _answered_from(message.answered))


def _part_to(part: ModeratedPart) -> pb.ModeratedPart:
    if isinstance(part, ModeratedText):
        return pb.ModeratedPart(text=part.text)
    return pb.ModeratedPart(image_url=part.url)


def _part_from(message: pb.ModeratedPart) -> ModeratedPart:
    if message.WhichOneof("part") == "image_url":
        return ModeratedImage(message.image_url)
    return ModeratedText(message.text)


def _moderate_to(value: ModerateRequest) -> pb.ModerateRequest:
    return pb.ModerateRequest(
        contents=[
            pb.ModeratedContent(parts=[_part_to(part) for part in content.parts], is_parts=content.is_parts)
            for content in value.contents
        ],
        plan=plan_to_proto(value.plan),
        priority=priority_to_proto(value.priority),
    )


def _moderate_from(message: pb.ModerateRequest) -> ModerateRequest:
    return ModerateRequest(
        contents=tuple(
            [
                ModeratedContent(tuple([_part_from(part) for part in content.parts]), content.is_parts)
                for content in message.contents
            ]
        ),
        plan=plan_from_proto(message.plan),
        priority=priority_from_proto(message.priority) or Priority.DEFAULT,
    )


def _verdict_to(value: Verdict) -> pb.Verdict:
    return pb.Verdict(
        flagged=value.flagged,
        categories=[
            pb.VerdictCategory(name=one.name, flagged=one.flagged, score=one.score, input_types=one.input_types)
            for one in value.categories
        ],
    )


def _verdict_from(message: pb.Verdict) -> Verdict:
    return Verdict(
        message.flagged,
        tuple(
            [VerdictCategory(one.name, one.flagged, one.score, tuple(one.input_types)) for one in message.categories]
        ),
    )


def _moderated_to(value: ModerateResponse) -> pb.ModerateResponse:
    return pb.ModerateResponse(
        verdicts=[_verdict_to(verdict) for verdict in value.verdicts],
        model=value.model,
        answered=_answered_to(value.answered),
    )


def _moderated_from(message: pb.ModerateResponse) -> ModerateResponse:
    return ModerateResponse(
        verdicts=tuple([_verdict_from(verdict) for verdict in message.verdicts]),
        model=message.model,
        answered=_answered_from(message.answered),
    )


RERANK = UnaryMethod[RerankRequest, RerankResponse](
    f"{_SERVICE}Rerank",
    ProtobufCodec(pb.RerankRequest, _rerank_to, _rerank_from),
    ProtobufCodec(pb.RerankResponse, _reranked_to, _reranked_from),
)
MODERATE = UnaryMethod[ModerateRequest, ModerateResponse](
    f"{_SERVICE}Moderate",
    ProtobufCodec(pb.ModerateRequest, _moderate_to, _moderate_from),
    ProtobufCodec(pb.ModerateResponse, _moderated_to, _moderated_from),
)

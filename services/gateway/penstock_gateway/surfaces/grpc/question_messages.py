"""``penstock.gateway.v1.RerankService`` and ``ModerationService`` on the wire."""

from __future__ import annotations

import msgspec

from penstock.gateway.v1 import moderation_service_pb2 as moderation_pb
from penstock.gateway.v1 import rerank_service_pb2 as rerank_pb
from penstock_common.contract.questions import (
    ModeratedContent,
    ModeratedImage,
    ModeratedPart,
    ModeratedText,
    ModerateResponse,
    RerankResponse,
    Verdict,
)
from penstock_common.llm.convert import context_from_proto, usage_to_proto
from penstock_common.llm.types import RequestContext
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec, unread, unwritten
from penstock_common.rpc.scope import Metadata
from penstock_gateway.domain.life.order import ModerationInput, RerankInput
from penstock_gateway.domain.life.progress import Bill
from penstock_gateway.domain.life.questions import ModerationExchange, RerankExchange
from penstock_gateway.surfaces.arrival import limit_headers


class RerankAsked(msgspec.Struct, frozen=True, gc=False):
    """What a caller asks."""

    input: RerankInput
    context: RequestContext
    return_documents: bool


class RerankTold(msgspec.Struct, frozen=True, gc=False):
    """The ranking, what it cost, and the documents where they are wanted."""

    generation_id: str
    response: RerankResponse
    bill: Bill
    documents: tuple[str, ...]


class ModerateAsked(msgspec.Struct, frozen=True, gc=False):
    """What a caller asks."""

    input: ModerationInput
    context: RequestContext


class ModerateTold(msgspec.Struct, frozen=True, gc=False):
    """The verdicts, and what they cost."""

    generation_id: str
    response: ModerateResponse
    bill: Bill


def question_head(exchange: RerankExchange | ModerationExchange) -> Metadata:
    """Return what an answer begins with."""
    request_id = exchange.call.order.request_id
    return (("x-request-id", request_id), *limit_headers(exchange.standings, exchange.shadowed))


def rerank_asked_from(message: rerank_pb.RerankRequest) -> RerankAsked:
    """Return what a message asks."""
    value = RerankInput(
        model=message.model,
        query=message.query,
        documents=tuple(message.documents),
        top_n=message.top_n if message.HasField("top_n") else None,
        max_tokens_per_document=message.max_tokens_per_document,
    )
    return RerankAsked(value, context_from_proto(message.context), message.return_documents)


def rerank_told_to(told: RerankTold) -> rerank_pb.RerankResponse:
    """Return the message of a ranking."""
    answered = told.response.answered
    return rerank_pb.RerankResponse(
        rerank_id=told.generation_id,
        model=answered.answered_by.model,
        results=[
            rerank_pb.RerankedDocument(
                index=one.index,
                relevance_score=one.score,
                document=told.documents[one.index] if told.documents else "",
            )
            for one in told.response.ranked
        ],
        usage=usage_to_proto(told.bill.usage),
        search_units=answered.search_units,
        cost_nano_usd=told.bill.cost_nano_usd,
        attempts=answered.attempts,
    )


def moderate_asked_from(message: moderation_pb.ModerateRequest) -> ModerateAsked:
    """Return what a message asks."""
    contents = tuple([_content_from(content) for content in message.contents])
    return ModerateAsked(ModerationInput(model=message.model, contents=contents), context_from_proto(message.context))


def moderate_told_to(told: ModerateTold) -> moderation_pb.ModerateResponse:
    """Return the message of verdicts."""
    response = told.response
    return moderation_pb.ModerateResponse(
        moderation_id=told.generation_id,
        model=response.model,
        results=[_verdict_to(verdict) for verdict in response.verdicts],
        usage=usage_to_proto(told.bill.usage),
        cost_nano_usd=told.bill.cost_nano_usd,
        attempts=response.answered.attempts,
    )


def _content_from(message: moderation_pb.ModerationContent) -> ModeratedContent:
    parts = tuple([_part_from(part) for part in message.parts])
    is_text = len(parts) == 1 and isinstance(parts[0], ModeratedText)
    return ModeratedContent(parts, is_parts=not is_text)


def _part_from(message: moderation_pb.ModerationPart) -> ModeratedPart:
    if message.WhichOneof("part") == "image_url":
        return ModeratedImage(message.image_url)
    return ModeratedText(message.text)


def _verdict_to(verdict: Verdict) -> moderation_pb.ModerationVerdict:
    return moderation_pb.ModerationVerdict(
        flagged=verdict.flagged,
        categories=[
            moderation_pb.ModerationCategory(
                name=one.name, flagged=one.flagged, score=one.score, input_types=one.input_types
            )
            for one in verdict.categories
        ],
    )


RERANK = UnaryMethod[RerankAsked, RerankTold](
    "/penstock.gateway.v1.RerankService/Rerank",
    ProtobufCodec(rerank_pb.RerankRequest, unwritten, rerank_asked_from),
    ProtobufCodec(rerank_pb.RerankResponse, rerank_told_to, unread),
)
MODERATE = UnaryMethod[ModerateAsked, ModerateTold](
    "/penstock.gateway.v1.ModerationService/Moderate",
    ProtobufCodec(moderation_pb.ModerateRequest, unwritten, moderate_asked_from),
    ProtobufCodec(moderation_pb.ModerateResponse, moderate_told_to, unread),
)

"""``penstock.gateway.v1.EmbeddingService`` on the wire."""

from __future__ import annotations

import msgspec

from penstock.gateway.v1 import embedding_service_pb2 as pb
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.llm.convert import context_from_proto, usage_to_proto
from penstock_common.llm.types import RequestContext
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec, unread, unwritten
from penstock_gateway.domain.life.progress import Bill


class EmbedAsked(msgspec.Struct, frozen=True, gc=False):
    """What a caller asks."""

    input: EmbedRequest
    context: RequestContext


class EmbedTold(msgspec.Struct, frozen=True, gc=False):
    """The vectors under our name of them, and what they cost."""

    generation_id: str
    embedded: EmbedResponse
    bill: Bill


def asked_from(message: pb.EmbedRequest) -> EmbedAsked:
    """Return what a message asks."""
    texts = EmbedRequest(model=message.model, texts=tuple(message.inputs), dimensions=message.dimensions)
    return EmbedAsked(texts, context_from_proto(message.context))


def told_message_of(value: EmbedTold) -> pb.EmbedResponse:
    """Return the message of vectors."""
    embedded, bill = value.embedded, value.bill
    return pb.EmbedResponse(
        embedding_id=value.generation_id,
        model=embedded.model,
        model_revision=embedded.revision,
        embeddings=[pb.Embedding(values=vector.values, truncated=vector.truncated) for vector in embedded.vectors],
        usage=usage_to_proto(bill.usage),
        cost_nano_usd=bill.cost_nano_usd,
        attempts=embedded.attempts,
    )


EMBED = UnaryMethod[EmbedAsked, EmbedTold](
    "/penstock.gateway.v1.EmbeddingService/Embed",
    ProtobufCodec(pb.EmbedRequest, unwritten, asked_from),
    ProtobufCodec(pb.EmbedResponse, told_message_of, unread),
)

"""The public EmbeddingService: convert, run the exchange, convert."""

from __future__ import annotations

from typing import Any

from penstock.gateway.v1 import embedding_service_pb2 as pb
from penstock.gateway.v1 import embedding_service_pb2_grpc
from penstock_common.errors import PenstockError
from penstock_common.llm.convert import context_from_proto, usage_to_proto
from penstock_gateway.domain.embedding_call import EmbeddedTexts, EmbeddingInput
from penstock_gateway.domain.embedding_exchange import EmbeddingExchange, EmbeddingLife
from penstock_gateway.domain.visit import Observer
from penstock_gateway.surfaces.arrival import CallOptions, Reception, rate_headers
from penstock_gateway.surfaces.grpc.arrival import Admitted, admitted, remaining


class EmbeddingServicer(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    """Serves vectors; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: EmbeddingLife, observer: Observer) -> None:
        self._reception = reception
        self._life = life
        self._observer = observer

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        """Return one vector per input."""
        call = admitted()
        exchange = self._begin(request, context, call)
        try:
            embedded = await exchange.embed()
        finally:
            await context.send_initial_metadata(
                (("x-request-id", call.arrival.request_id), *rate_headers(exchange.rate))
            )
        return _response(embedded, exchange)

    def _begin(self, request: pb.EmbedRequest, context: Any, call: Admitted) -> EmbeddingExchange:
        texts = EmbeddingInput(request.model, request.inputs, request.dimensions)
        options = CallOptions(stream=False, timeout=remaining(context))
        try:
            made = self._reception.embedding_call(
                call.arrival, call.caller, texts, context_from_proto(request.context), options
            )
        except PenstockError as error:
            self._observer.turned_away(call.arrival.surface, error)
            context.set_trailing_metadata((("x-request-id", call.arrival.request_id),))
            raise
        return self._life.begin(made)


def _response(embedded: EmbeddedTexts, exchange: EmbeddingExchange) -> pb.EmbedResponse:
    return pb.EmbedResponse(
        embedding_id=exchange.call.generation_id,
        model=embedded.model,
        model_revision=embedded.revision,
        embeddings=[pb.Embedding(values=vector.values, truncated=vector.truncated) for vector in embedded.vectors],
        usage=usage_to_proto(exchange.usage),
        cost_nano_usd=exchange.cost_nano_usd,
    )

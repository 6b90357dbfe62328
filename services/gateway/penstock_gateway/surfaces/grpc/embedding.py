"""The public EmbeddingService: convert, run the exchange, convert."""

from __future__ import annotations

from penstock.gateway.v1 import embedding_service_pb2 as pb
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.errors import PenstockError
from penstock_common.llm.convert import context_from_proto, usage_to_proto
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.life.embeddings import EmbeddingExchange, EmbeddingLife
from penstock_gateway.domain.life.exchange import Observer
from penstock_gateway.surfaces.arrival import CallOptions, Reception, rate_headers
from penstock_gateway.surfaces.grpc.arrival import Admitted, admitted, remaining


class EmbeddingServicer:
    """Serves vectors; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: EmbeddingLife, observer: Observer) -> None:
        self._reception = reception
        self._life = life
        self._observer = observer

    async def Embed(self, request: pb.EmbedRequest, call: ServerCall) -> pb.EmbedResponse:
        """Return one vector per input."""
        admission = admitted()
        exchange = self._begin(request, call, admission)
        try:
            async with exchange:
                embedded = await exchange.embed()
        finally:
            await call.context.send_initial_metadata(
                (("x-request-id", admission.arrival.request_id), *rate_headers(exchange.rate))
            )
        return _response(embedded, exchange)

    def _begin(self, request: pb.EmbedRequest, call: ServerCall, admission: Admitted) -> EmbeddingExchange:
        arrival = admission.arrival
        texts = EmbedRequest(model=request.model, texts=request.inputs, dimensions=request.dimensions)
        options = CallOptions(stream=False, timeout=remaining(call))
        try:
            made = self._reception.embedding_call(
                arrival, admission.caller, texts, context_from_proto(request.context), options
            )
        except PenstockError as error:
            self._observer.turned_away(arrival.surface, error)
            call.context.set_trailing_metadata((("x-request-id", arrival.request_id),))
            raise
        return self._life.begin(made)


def _response(embedded: EmbedResponse, exchange: EmbeddingExchange) -> pb.EmbedResponse:
    bill = exchange.bill
    return pb.EmbedResponse(
        embedding_id=exchange.call.order.generation_id,
        model=embedded.model,
        model_revision=embedded.revision,
        embeddings=[pb.Embedding(values=vector.values, truncated=vector.truncated) for vector in embedded.vectors],
        usage=usage_to_proto(bill.usage),
        cost_nano_usd=bill.cost_nano_usd,
    )

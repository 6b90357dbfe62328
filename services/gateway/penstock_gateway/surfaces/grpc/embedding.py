"""The public EmbeddingService: begin the exchange, hand its vectors on."""

from __future__ import annotations

from penstock_common.rpc.method import Handler
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.life.embeddings import EmbeddingExchange, EmbeddingLife
from penstock_gateway.surfaces.arrival import CallOptions, Reception, limit_headers
from penstock_gateway.surfaces.grpc.arrival import admitted, place_of, remaining
from penstock_gateway.surfaces.grpc.embedding_messages import EMBED, EmbedAsked, EmbedTold


class EmbeddingServicer:
    """Serves vectors; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: EmbeddingLife) -> None:
        self._reception = reception
        self._life = life

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (EMBED.served_by(self.embed),)

    async def embed(self, request: EmbedAsked, call: ServerCall) -> EmbedTold:
        """Return one vector per input."""
        exchange = self._begin(request, call)
        order = exchange.call.order
        try:
            async with exchange:
                embedded = await exchange.embed()
        finally:
            await begun(
                call.context,
                (("x-request-id", order.request_id), *limit_headers(exchange.standings, exchange.shadowed)),
            )
        return EmbedTold(order.generation_id, embedded, exchange.bill)

    def _begin(self, request: EmbedAsked, call: ServerCall) -> EmbeddingExchange:
        admission = admitted(call)
        options = CallOptions(stream=False, timeout=remaining(call))
        made = self._reception.embedding_call(
            admission.arrival, place_of(admission), request.input, request.context, options
        )
        admission.is_begun = True
        return self._life.begin(made)

"""The public EmbeddingService: begin the exchange, hand its vectors on."""

from __future__ import annotations

from penstock_common.llm.types import Usage
from penstock_common.rpc.method import Handler
from penstock_common.rpc.scope import Metadata
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.idempotency.keys import KEY_HEADER
from penstock_gateway.domain.idempotency.repeats import Joined
from penstock_gateway.domain.jobs.results import EmbeddingResult
from penstock_gateway.domain.life.embeddings import EmbeddingExchange, EmbeddingLife
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.progress import Bill
from penstock_gateway.surfaces.arrival import CallOptions, Reception, limit_headers
from penstock_gateway.surfaces.grpc.arrival import admitted, place_of, remaining
from penstock_gateway.surfaces.grpc.deferred import RepeatedCalls, replay_head, result_of_call
from penstock_gateway.surfaces.grpc.embedding_messages import EMBED, EmbedAsked, EmbedTold


class EmbeddingServicer:
    """Serves vectors; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: EmbeddingLife, repeated: RepeatedCalls) -> None:
        self._repeated = repeated
        self._reception = reception
        self._life = life

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (EMBED.served_by(self.embed),)

    async def embed(self, request: EmbedAsked, call: ServerCall) -> EmbedTold:
        """Return one vector per input."""
        made = self._call(request, call)
        if KEY_HEADER in admitted(call).arrival.headers:
            return await self._embed_once(made, call)
        exchange = self._life.begin(made)
        order = exchange.call.order
        try:
            async with exchange:
                embedded = await exchange.embed()
        finally:
            await begun(call.context, _head(exchange))
        return EmbedTold(order.generation_id, embedded, exchange.bill)

    async def _embed_once(self, made: Call[EmbeddingOrder], call: ServerCall) -> EmbedTold:
        """Return the vectors of a call that carries an idempotency key."""
        async with self._repeated.joined(made, call) as joined:
            try:
                result = await result_of_call(joined, made)
            finally:
                await begun(call.context, _head_of(joined, call))
        assert isinstance(result, EmbeddingResult), "the result of a call for vectors"
        bill = Bill(Usage(input_tokens=result.input_tokens), result.unit_prices, result.cost_nano_usd)
        return EmbedTold(result.generation_id, result.embedded, bill)

    def _call(self, request: EmbedAsked, call: ServerCall) -> Call[EmbeddingOrder]:
        admission = admitted(call)
        options = CallOptions(stream=False, timeout=remaining(call))
        made = self._reception.embedding_call(
            admission.arrival, place_of(admission), request.input, request.context, options
        )
        admission.is_begun = True
        return made


def _head(exchange: EmbeddingExchange) -> Metadata:
    request_id = exchange.call.order.request_id
    return (("x-request-id", request_id), *limit_headers(exchange.standings, exchange.shadowed))


def _head_of(joined: Joined, call: ServerCall) -> Metadata:
    exchange = joined.answer.exchange
    if not joined.is_original:
        return replay_head(joined, call)
    if isinstance(exchange, EmbeddingExchange):
        return _head(exchange)
    return (("x-request-id", admitted(call).arrival.request_id),)

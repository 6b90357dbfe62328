"""The public RerankService: begin the exchange, hand its ranking on."""

from __future__ import annotations

from penstock_common.rpc.method import Handler
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.life.order import RerankOrder
from penstock_gateway.domain.life.questions import QuestionLife
from penstock_gateway.surfaces.arrival import CallOptions, Reception
from penstock_gateway.surfaces.grpc.arrival import admitted, place_of, remaining
from penstock_gateway.surfaces.grpc.question_messages import RERANK, RerankAsked, RerankTold, question_head


class RerankServicer:
    """Serves rankings; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: QuestionLife) -> None:
        self._reception = reception
        self._life = life

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (RERANK.served_by(self.rerank),)

    async def rerank(self, request: RerankAsked, call: ServerCall) -> RerankTold:
        """Return how well the documents answer the query."""
        admission = admitted(call)
        options = CallOptions(stream=False, timeout=remaining(call))
        asked = request.input, request.context
        made = self._reception.call_of(RerankOrder, admission.arrival, place_of(admission), asked, options)
        admission.is_begun = True
        exchange = self._life.rerank(made)
        try:
            async with exchange:
                response = await exchange.ask()
        finally:
            await begun(call.context, question_head(exchange))
        documents = request.input.documents if request.return_documents else ()
        return RerankTold(made.order.generation_id, response, exchange.bill, documents)

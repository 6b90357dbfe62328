"""The public ModerationService: begin the exchange, hand its verdicts on."""

from __future__ import annotations

from penstock_common.rpc.method import Handler
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.life.order import ModerationOrder
from penstock_gateway.domain.life.questions import QuestionLife
from penstock_gateway.surfaces.arrival import CallOptions, Reception
from penstock_gateway.surfaces.grpc.arrival import admitted, place_of, remaining
from penstock_gateway.surfaces.grpc.question_messages import MODERATE, ModerateAsked, ModerateTold, question_head


class ModerationServicer:
    """Serves verdicts; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: QuestionLife) -> None:
        self._reception = reception
        self._life = life

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (MODERATE.served_by(self.moderate),)

    async def moderate(self, request: ModerateAsked, call: ServerCall) -> ModerateTold:
        """Return what is objectionable about the contents."""
        admission = admitted(call)
        options = CallOptions(stream=False, timeout=remaining(call))
        asked = request.input, request.context
        made = self._reception.call_of(ModerationOrder, admission.arrival, place_of(admission), asked, options)
        admission.is_begun = True
        exchange = self._life.moderate(made)
        try:
            async with exchange:
                response = await exchange.ask()
        finally:
            await begun(call.context, question_head(exchange))
        return ModerateTold(made.order.generation_id, response, exchange.bill)

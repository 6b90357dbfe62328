"""ChatService: convert, run the exchange, convert."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock_common.errors import InvalidRequest, PenstockError
from penstock_common.llm.convert import (
    UnknownRoleError,
    context_from_proto,
    event_to_proto,
    finish_reason_to_proto,
    input_from_proto,
    message_to_proto,
    usage_to_proto,
)
from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationInput
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.life.chat import CacheOutcome, ChatExchange, ChatLife
from penstock_gateway.domain.life.exchange import Observer
from penstock_gateway.domain.life.order import CacheControl
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception, rate_headers
from penstock_gateway.surfaces.grpc.arrival import Admitted, admitted, remaining

_STATUS = {
    "hit": pb.CacheResult.STATUS_HIT,
    "miss": pb.CacheResult.STATUS_MISS,
    "bypass": pb.CacheResult.STATUS_BYPASS,
}
_TIER = {"exact": pb.CacheResult.TIER_EXACT, "semantic": pb.CacheResult.TIER_SEMANTIC}


class ChatServicer:
    """Serves chats; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: ChatLife, observer: Observer) -> None:
        self._reception = reception
        self._life = life
        self._observer = observer

    async def Chat(self, request: pb.ChatRequest, call: ServerCall) -> pb.ChatResponse:
        """Return the whole answer."""
        admission = admitted()
        exchange = self._begin(request, call, admission, stream=False)
        try:
            async with exchange:
                answer = await exchange.answer()
        finally:
            await _send_head(call, admission.arrival, exchange)
        return _response(answer, exchange)

    async def StreamChat(
        self, request: pb.StreamChatRequest, call: ServerCall
    ) -> AsyncGenerator[pb.StreamChatResponse, None]:
        """Yield the answer's events."""
        admission = admitted()
        exchange = self._begin(request, call, admission, stream=True)
        try:
            async with exchange:
                await _send_head(call, admission.arrival, exchange)
                async for batch in exchange.batches():
                    for event in batch:
                        yield pb.StreamChatResponse(event=event_to_proto(event))
        except Exception:
            # A refusal's headers still say where the caller stands.
            call.context.set_trailing_metadata(_head(admission.arrival, exchange))
            raise

    def _begin(
        self, request: pb.ChatRequest | pb.StreamChatRequest, call: ServerCall, admission: Admitted, *, stream: bool
    ) -> ChatExchange:
        arrival = admission.arrival
        try:
            options = CallOptions(stream, remaining(call), _cache_control(request))
            made = self._reception.chat_call(
                arrival, admission.caller, _input(request), context_from_proto(request.context), options
            )
        except PenstockError as error:
            self._observer.turned_away(arrival.surface, error)
            call.context.set_trailing_metadata((("x-request-id", arrival.request_id),))
            raise
        return self._life.begin(made)


def _input(request: pb.ChatRequest | pb.StreamChatRequest) -> GenerationInput:
    try:
        return input_from_proto(request.input)
    except UnknownRoleError as error:
        raise InvalidRequest(f"{error} is missing or not a known role.", field=f"input.{error}") from None


def _cache_control(request: pb.ChatRequest | pb.StreamChatRequest) -> CacheControl | None:
    if not request.HasField("cache_control"):
        return None
    control = request.cache_control
    return CacheControl(
        no_store=control.no_store,
        no_cache=control.no_cache,
        only_if_cached=control.only_if_cached,
        max_age=control.max_age.ToTimedelta() if control.HasField("max_age") else None,
    )


def _head(arrival: Arrival, exchange: ChatExchange) -> tuple[tuple[str, str], ...]:
    return (
        ("x-request-id", arrival.request_id),
        ("x-penstock-cache", str(exchange.cache_outcome)),
        *rate_headers(exchange.rate),
    )


async def _send_head(call: ServerCall, arrival: Arrival, exchange: ChatExchange) -> None:
    await call.context.send_initial_metadata(_head(arrival, exchange))


def _response(answer: Answer, exchange: ChatExchange) -> pb.ChatResponse:
    started, finished, usage = answer.started, answer.finished, answer.usage
    response = pb.ChatResponse(
        generation_id=started.generation_id if started else "",
        message=message_to_proto(answer.message()),
        cache=_cache_result(exchange.cache_outcome),
    )
    if usage is not None:
        response.usage.CopyFrom(usage_to_proto(usage))
    if finished is not None:
        response.model = finished.answered_by.model
        response.upstream = finished.answered_by.upstream
        response.finish_reason = finish_reason_to_proto(finished.reason)
        response.attempts = finished.attempts
        response.cost_nano_usd = finished.cost_nano_usd
    return response


def _cache_result(outcome: CacheOutcome) -> pb.CacheResult:
    return pb.CacheResult(
        status=_STATUS[outcome.status],
        tier=_TIER.get(outcome.tier, pb.CacheResult.TIER_UNSPECIFIED),
        similarity=outcome.similarity,
    )

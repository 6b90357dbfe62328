"""ChatService: convert, run the exchange, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc
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
from penstock_gateway.domain.chat_call import CacheControl, CacheOutcome
from penstock_gateway.domain.exchange import ChatLife, Exchange
from penstock_gateway.domain.visit import Observer
from penstock_gateway.surfaces.arrival import Arrival, CallOptions, Reception, rate_headers
from penstock_gateway.surfaces.grpc.arrival import Admitted, admitted, remaining

_STATUS = {
    "hit": pb.CacheResult.STATUS_HIT,
    "miss": pb.CacheResult.STATUS_MISS,
    "bypass": pb.CacheResult.STATUS_BYPASS,
}
_TIER = {"exact": pb.CacheResult.TIER_EXACT, "semantic": pb.CacheResult.TIER_SEMANTIC}


class ChatServicer(chat_service_pb2_grpc.ChatServiceServicer):
    """Serves chats; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: ChatLife, observer: Observer) -> None:
        self._reception = reception
        self._life = life
        self._observer = observer

    async def Chat(self, request: pb.ChatRequest, context: Any) -> pb.ChatResponse:
        """Return the whole answer."""
        call = admitted()
        exchange = self._begin(request, context, call, stream=False)
        answer = Answer()
        try:
            async with exchange:
                async for event in exchange.events():
                    answer.add(event)
        finally:
            await _send_head(context, call.arrival, exchange)
        return _response(answer, exchange)

    async def StreamChat(self, request: pb.StreamChatRequest, context: Any) -> AsyncIterator[pb.StreamChatResponse]:
        """Yield the answer's events."""
        call = admitted()
        exchange = self._begin(request, context, call, stream=True)
        try:
            async with exchange:
                await _send_head(context, call.arrival, exchange)
                async for event in exchange.events():
                    yield pb.StreamChatResponse(event=event_to_proto(event))
        except Exception:
            # A refusal's headers still say where the caller stands.
            context.set_trailing_metadata(_head(call.arrival, exchange))
            raise

    def _begin(
        self, request: pb.ChatRequest | pb.StreamChatRequest, context: Any, admitted_call: Admitted, *, stream: bool
    ) -> Exchange:
        arrival = admitted_call.arrival
        try:
            options = CallOptions(stream, remaining(context), _cache_control(request))
            call = self._reception.chat_call(
                arrival, admitted_call.caller, _input(request), context_from_proto(request.context), options
            )
        except PenstockError as error:
            self._observer.turned_away(arrival.surface, error)
            context.set_trailing_metadata((("x-request-id", arrival.request_id),))
            raise
        return self._life.begin(call)


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


def _head(arrival: Arrival, exchange: Exchange) -> tuple[tuple[str, str], ...]:
    return (
        ("x-request-id", arrival.request_id),
        ("x-penstock-cache", str(exchange.cache_outcome)),
        *rate_headers(exchange.rate),
    )


async def _send_head(context: Any, arrival: Arrival, exchange: Exchange) -> None:
    await context.send_initial_metadata(_head(arrival, exchange))


def _response(answer: Answer, exchange: Exchange) -> pb.ChatResponse:
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

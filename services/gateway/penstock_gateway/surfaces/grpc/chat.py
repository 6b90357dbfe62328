"""ChatService: begin the exchange, hand its answer on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from penstock_common.background import StartWork
from penstock_common.llm.types import Finished, GenerationEvent
from penstock_common.rpc.method import Handler
from penstock_common.rpc.scope import Metadata
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.guardrails.pipeline.told import HEADER as GUARDRAILS_HEADER
from penstock_gateway.domain.idempotency.keys import KEY_HEADER
from penstock_gateway.domain.idempotency.repeats import Joined
from penstock_gateway.domain.jobs.results import ChatResult
from penstock_gateway.domain.life.chat import ChatExchange, ChatLife
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.surfaces.arrival import (
    BUDGET_HEADER,
    EXPERIMENT_HEADER,
    KNOWLEDGE_HEADER,
    CallOptions,
    Reception,
    degradation_headers,
    dropped_names,
    limit_headers,
)
from penstock_gateway.surfaces.grpc.arrival import admitted, place_of, remaining
from penstock_gateway.surfaces.grpc.chat_messages import CHAT, STREAM_CHAT, ChatAsked, ChatTold, LastTold
from penstock_gateway.surfaces.grpc.deferred import (
    RepeatedCalls,
    batches_of_call,
    replay_head,
    result_of_call,
)


class ChatServicer:
    """Serves chats; calls come authorised or not at all."""

    def __init__(self, reception: Reception, life: ChatLife, in_background: StartWork, repeated: RepeatedCalls) -> None:
        self._repeated = repeated
        self._reception = reception
        self._life = life
        self._in_background = in_background

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return CHAT.served_by(self.chat), STREAM_CHAT.served_by(self.stream_chat)

    async def chat(self, request: ChatAsked, call: ServerCall) -> ChatTold:
        """Return the whole answer."""
        if KEY_HEADER in admitted(call).arrival.headers:
            return await self._chat_once(request, call)
        exchange = self._begin(request, call, stream=False)
        try:
            async with exchange:
                answer = await exchange.answer()
        finally:
            await begun(call.context, _head(exchange))
        self._in_background(exchange.afterwards())
        return ChatTold(answer, exchange.cache_outcome, exchange.knowledge)

    async def stream_chat(
        self, request: ChatAsked, call: ServerCall
    ) -> AsyncGenerator[GenerationEvent | LastTold, None]:
        """Yield the answer's events."""
        if KEY_HEADER in admitted(call).arrival.headers:
            async with aclosing(self._stream_once(request, call)) as told:
                async for event in told:
                    yield event
            return
        exchange = self._begin(request, call, stream=True)
        async with _HeadOfRefusal(exchange, call), exchange:
            # What stands in for an answer is known with its first event, and not before.
            is_told = not exchange.may_degrade
            if is_told:
                await begun(call.context, _head(exchange))
            async for batch in exchange.batches():
                if not is_told:
                    is_told = True
                    await begun(call.context, _head(exchange))
                for event in batch:
                    yield event if exchange.grounds is None else _told(event, exchange)
        self._in_background(exchange.afterwards())

    async def _chat_once(self, request: ChatAsked, call: ServerCall) -> ChatTold:
        """Return the whole answer of a call that carries an idempotency key."""
        made = self._call(request, call, stream=False)
        async with self._repeated.joined(made, call) as joined:
            try:
                result = await result_of_call(joined, made)
            finally:
                await begun(call.context, _head_of(joined, call))
        assert isinstance(result, ChatResult), "a chat's result"
        return ChatTold(result.answer, result.cache, result.knowledge)

    async def _stream_once(
        self, request: ChatAsked, call: ServerCall
    ) -> AsyncGenerator[GenerationEvent | LastTold, None]:
        """Yield the events of a call that carries an idempotency key."""
        made, is_told = self._call(request, call, stream=True), False
        async with self._repeated.joined(made, call) as joined, aclosing(batches_of_call(joined, made)) as batches:
            async for batch in batches:
                if not is_told:
                    is_told = True
                    await begun(call.context, _head_of(joined, call))
                for event in batch:
                    yield event

    def _begin(self, request: ChatAsked, call: ServerCall, *, stream: bool) -> ChatExchange:
        return self._life.begin(self._call(request, call, stream=stream))

    def _call(self, request: ChatAsked, call: ServerCall, *, stream: bool) -> Call[ChatOrder]:
        admission = admitted(call)
        options = CallOptions(
            stream,
            remaining(call),
            request.cache_control,
            request.may_recover,
            may_degrade=request.may_degrade,
            may_hedge=request.may_hedge,
            compress=request.compress,
            priority=request.priority,
            prompt=request.prompt,
            policy=request.policy,
            knowledge=request.knowledge,
        )
        place = place_of(admission)
        made = self._reception.chat_call(admission.arrival, place, request.input, request.context, options)
        admission.is_begun = True
        return made


class _HeadOfRefusal:
    """Has a refusal's trailing metadata say where the caller stands."""

    __slots__ = ("_call", "_exchange")

    def __init__(self, exchange: ChatExchange, call: ServerCall) -> None:
        self._exchange = exchange
        self._call = call

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            self._call.context.set_trailing_metadata(_head(self._exchange))


def _head_of(joined: Joined, call: ServerCall) -> Metadata:
    exchange = joined.answer.exchange
    if not joined.is_original:
        return replay_head(joined, call)
    if isinstance(exchange, ChatExchange):
        return _head(exchange)
    return (("x-request-id", admitted(call).arrival.request_id),)


def _told(event: GenerationEvent, exchange: ChatExchange) -> GenerationEvent | LastTold:
    knowledge = exchange.knowledge if isinstance(event, Finished) else None
    return event if knowledge is None else LastTold(event, knowledge)


def _head(exchange: ChatExchange) -> tuple[tuple[str, str], ...]:
    started = exchange.progress.started
    told = exchange.guarding.tally.line() if exchange.guarding is not None else ""
    dropped = (("x-penstock-dropped", dropped_names(started.dropped)),) if started and started.dropped else ()
    prompt = exchange.call.order.prompt
    assigned = exchange.assigned
    return (
        ("x-request-id", exchange.call.order.request_id),
        ("x-penstock-cache", str(exchange.cache_outcome)),
        *((("x-penstock-prompt", prompt.shown),) if prompt is not None and prompt.is_found else ()),
        *dropped,
        *(((EXPERIMENT_HEADER, str(assigned.part)),) if assigned is not None else ()),
        *((("x-penstock-route", str(exchange.decision)),) if exchange.decision is not None else ()),
        *(((KNOWLEDGE_HEADER, str(exchange.grounds.retrieved)),) if exchange.grounds is not None else ()),
        *((("x-penstock-compressed", str(exchange.compressed)),) if exchange.compressed is not None else ()),
        *(
            (("x-penstock-schema", str(exchange.checked)),)
            if exchange.checked is not None and exchange.checked.told
            else ()
        ),
        *(degradation_headers(exchange.degraded, exchange.age_seconds) if exchange.degraded is not None else ()),
        *(((BUDGET_HEADER, exchange.budget_told),) if exchange.is_metered and exchange.budget_told else ()),
        *(((GUARDRAILS_HEADER, told),) if told else ()),
        *limit_headers(exchange.standings, exchange.shadowed),
    )

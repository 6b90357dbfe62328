"""``penstock.gateway.v1.ChatService`` on the wire."""

from __future__ import annotations

import msgspec

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.llm.v1 import generation_pb2 as gen
from penstock_common.contract.router import Policy
from penstock_common.llm.convert import (
    context_from_proto,
    degradation_to_proto,
    event_to_proto,
    finish_reason_to_proto,
    input_from_proto,
    message_to_proto,
    usage_to_proto,
)
from penstock_common.llm.convert.priority import priority_from_proto
from penstock_common.llm.events import Answer
from penstock_common.llm.types import FinishReason, GenerationEvent, GenerationInput, RequestContext
from penstock_common.priority import Priority
from penstock_common.rpc.durations import duration_from
from penstock_common.rpc.method import StreamMethod, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec, unread, unwritten
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.domain.life.cache_outcome import CacheOutcome
from penstock_gateway.domain.life.order import MAX_CACHE_AGE, CacheControl
from penstock_gateway.domain.prompts.content import PromptReference
from penstock_gateway.surfaces.cache_words import checked_tags
from penstock_gateway.surfaces.grpc.knowledge_use_messages import told_message, use_from
from penstock_gateway.surfaces.grpc.prompt_messages import reference_from

_SERVICE = "/penstock.gateway.v1.ChatService/"

_POLICIES: dict[int, Policy] = {
    gen.ROUTING_POLICY_BALANCED: Policy.BALANCED,
    gen.ROUTING_POLICY_COST: Policy.COST,
    gen.ROUTING_POLICY_LATENCY: Policy.LATENCY,
    gen.ROUTING_POLICY_QUALITY: Policy.QUALITY,
}
_STATUS = {
    "hit": pb.CacheResult.STATUS_HIT,
    "miss": pb.CacheResult.STATUS_MISS,
    "bypass": pb.CacheResult.STATUS_BYPASS,
}
_TIER = {
    "exact": pb.CacheResult.TIER_EXACT,
    "semantic": pb.CacheResult.TIER_SEMANTIC,
    "flight": pb.CacheResult.TIER_FLIGHT,
}


class ChatAsked(msgspec.Struct, frozen=True, gc=False):
    """What a caller asks; ``cache_control`` is None where the message says nothing of it.

    ``may_recover``: an answer that breaks off may be made whole by another attempt. ``may_degrade``: what the model's
    ladder has will do where it has no answer. ``prompt`` stands before the input. ``may_hedge``: where its first token is late,
    another may be asked, too. ``compress``: whether its context is made shorter, None where the message does not say.
    """

    input: GenerationInput
    context: RequestContext
    cache_control: CacheControl | None
    may_recover: bool
    may_degrade: bool
    may_hedge: bool
    compress: bool | None
    priority: Priority | None
    policy: Policy | None
    prompt: PromptReference | None = None
    knowledge: KnowledgeUse | None = None


class ChatTold(msgspec.Struct, frozen=True):
    """A whole answer, what the cache did for it, and what was found for it where knowledge bases were searched."""

    answer: Answer
    cache: CacheOutcome
    knowledge: KnowledgeTold | None = None


class LastTold(msgspec.Struct, frozen=True):
    """The last event of a stream that knowledge bases were searched for."""

    event: GenerationEvent
    knowledge: KnowledgeTold


def asked_from(message: pb.ChatRequest | pb.StreamChatRequest) -> ChatAsked:
    """Return what a message asks."""
    control = _cache_control(message.cache_control) if message.HasField("cache_control") else None
    may_recover = not (isinstance(message, pb.StreamChatRequest) and message.no_recovery)
    return ChatAsked(
        input_from_proto(message.input),
        context_from_proto(message.context),
        control,
        may_recover,
        may_degrade=not message.no_degradation,
        may_hedge=not message.no_hedging,
        compress=message.compress if message.HasField("compress") else None,
        priority=priority_from_proto(message.priority),
        prompt=reference_from(message.prompt) if message.HasField("prompt") else None,
        policy=_POLICIES.get(message.policy),
        knowledge=use_from(message.knowledge) if message.HasField("knowledge") else None,
    )


def _cache_control(control: pb.CacheControl) -> CacheControl:
    return CacheControl(
        no_store=control.no_store,
        no_cache=control.no_cache,
        only_if_cached=control.only_if_cached,
        max_age=duration_from(control, "max_age", MAX_CACHE_AGE, "cache_control.max_age"),
        exact=control.exact,
        private=control.private,
        ttl=duration_from(control, "ttl", MAX_CACHE_AGE, "cache_control.ttl"),
        tags=checked_tags(control.tags, "cache_control.tags"),
    )


def told_message_of(value: ChatTold) -> pb.ChatResponse:
    """Return the message of a whole answer."""
    started, finished, usage = value.answer.started, value.answer.finished, value.answer.usage
    message = pb.ChatResponse(
        generation_id=started.generation_id if started else "",
        message=message_to_proto(value.answer.message()),
        cache=_cache_result(value.cache),
    )
    if usage is not None:
        message.usage.CopyFrom(usage_to_proto(usage))
    if finished is not None:
        message.model = finished.answered_by.model
        message.upstream = finished.answered_by.upstream
        message.finish_reason = finish_reason_to_proto(finished.reason)
        message.attempts = finished.attempts
        message.cost_nano_usd = finished.cost_nano_usd
        message.cost_is_unknown = finished.unit_prices.is_unknown
        message.degraded = degradation_to_proto(finished.degraded)
        message.stopped_by = finished.stopped_by
    if started is not None and started.dropped:
        message.dropped.extend(started.dropped)
    message.logprobs_json = value.answer.logprobs_json
    if value.knowledge is not None:
        told_message(value.knowledge, message.knowledge)
    for more in value.answer.more:
        message.more_choices.add(
            message=message_to_proto(more.message()),
            finish_reason=finish_reason_to_proto(more.reason or FinishReason.STOP),
            logprobs_json=more.logprobs_json,
        )
    return message


def _cache_result(outcome: CacheOutcome) -> pb.CacheResult:
    result = pb.CacheResult(
        status=_STATUS[outcome.status],
        tier=_TIER.get(outcome.tier, pb.CacheResult.TIER_UNSPECIFIED),
        similarity=outcome.similarity,
        unset_temperature=outcome.unset_temperature,
        stale=outcome.is_stale,
        entry_id=outcome.entry_id,
        reason=outcome.reason,
    )
    if outcome.created_at:
        result.age.FromSeconds(outcome.age_seconds)
    return result


def _event(value: GenerationEvent | LastTold) -> pb.StreamChatResponse:
    if isinstance(value, LastTold):
        message = pb.StreamChatResponse(event=event_to_proto(value.event))
        told_message(value.knowledge, message.knowledge)
        return message
    return pb.StreamChatResponse(event=event_to_proto(value))


CHAT = UnaryMethod[ChatAsked, ChatTold](
    f"{_SERVICE}Chat",
    ProtobufCodec(pb.ChatRequest, unwritten, asked_from),
    ProtobufCodec(pb.ChatResponse, told_message_of, unread),
)
STREAM_CHAT = StreamMethod[ChatAsked, GenerationEvent | LastTold](
    f"{_SERVICE}StreamChat",
    ProtobufCodec(pb.StreamChatRequest, unwritten, asked_from),
    ProtobufCodec(pb.StreamChatResponse, _event, unread),
)

"""An answer's events, as ``penstock.llm.v1`` writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.llm.v1 import generation_pb2 as gen
from penstock_common.llm import types as t
from penstock_common.llm.convert.input import opaque_from_proto, opaque_to_proto
from penstock_common.llm.convert.plan import (
    candidate_from_proto,
    candidate_to_proto,
    unit_prices_from_proto,
    unit_prices_to_proto,
)

_FINISH_TO_PROTO = {
    t.FinishReason.STOP: gen.FINISH_REASON_STOP,
    t.FinishReason.LENGTH: gen.FINISH_REASON_LENGTH,
    t.FinishReason.TOOL_CALLS: gen.FINISH_REASON_TOOL_CALLS,
    t.FinishReason.CONTENT_FILTER: gen.FINISH_REASON_CONTENT_FILTER,
}
_WAY_TO_PROTO = {
    t.RecoveryWay.CONTINUED: gen.Recovery.WAY_CONTINUED,
    t.RecoveryWay.REGENERATED: gen.Recovery.WAY_REGENERATED,
}
_WAY_FROM_PROTO: dict[int, t.RecoveryWay] = {number: way for way, number in _WAY_TO_PROTO.items()}
_DEGRADATION_TO_PROTO = {
    None: gen.DEGRADATION_UNSPECIFIED,
    t.Degradation.SMALLER_MODEL: gen.DEGRADATION_SMALLER_MODEL,
    t.Degradation.STALE: gen.DEGRADATION_STALE,
    t.Degradation.TEMPLATE: gen.DEGRADATION_TEMPLATE,
    t.Degradation.BUDGET: gen.DEGRADATION_BUDGET,
}
_DEGRADATION_FROM_PROTO: dict[int, t.Degradation | None] = {
    number: degradation for degradation, number in _DEGRADATION_TO_PROTO.items()
}
_FINISH_FROM_PROTO = {number: reason for reason, number in _FINISH_TO_PROTO.items()}


def usage_to_proto(usage: t.Usage) -> gen.TokenUsage:
    """Return the wire form of a usage."""
    return gen.TokenUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        estimated=usage.estimated,
        cache_write_1h_input_tokens=usage.cache_write_1h_input_tokens,
    )


def usage_from_proto(proto: gen.TokenUsage) -> t.Usage:
    """Return the value of a usage."""
    return t.Usage(
        input_tokens=proto.input_tokens,
        output_tokens=proto.output_tokens,
        cached_input_tokens=proto.cached_input_tokens,
        cache_write_input_tokens=proto.cache_write_input_tokens,
        reasoning_tokens=proto.reasoning_tokens,
        estimated=proto.estimated,
        cache_write_1h_input_tokens=proto.cache_write_1h_input_tokens,
    )


def event_to_proto(event: t.GenerationEvent) -> gen.GenerationEvent:
    """Return the wire form of an event."""
    return _EVENT_TO_PROTO[type(event)](event)


def event_from_proto(proto: gen.GenerationEvent) -> t.GenerationEvent:
    """Return the value of an event.

    Raises:
        ValueError: if no case is set, or the finish reason is unknown.
    """
    kind = proto.WhichOneof("event")
    if kind is None:
        raise ValueError("a GenerationEvent without an event")
    return _EVENT_FROM_PROTO[kind](getattr(proto, kind))


def _started_to_proto(event: t.Started) -> gen.GenerationEvent:
    started = gen.GenerationStarted(
        generation_id=event.generation_id,
        answered_by=candidate_to_proto(event.answered_by),
        unit_prices=unit_prices_to_proto(event.unit_prices),
        dropped=event.dropped,
    )
    return gen.GenerationEvent(started=started)


def _started_from_proto(proto: gen.GenerationStarted) -> t.Started:
    return t.Started(
        generation_id=proto.generation_id,
        answered_by=candidate_from_proto(proto.answered_by),
        unit_prices=unit_prices_from_proto(proto.unit_prices),
        dropped=tuple(proto.dropped),
    )


def _text_delta_to_proto(event: t.TextDelta) -> gen.GenerationEvent:
    delta = gen.TextDelta(
        text=event.text,
        choice=event.choice,
        logprobs_json=event.logprobs_json,
        citations_json=event.citations_json,
        is_refusal=event.is_refusal,
    )
    return gen.GenerationEvent(text_delta=delta)


def _text_delta_from_proto(proto: gen.TextDelta) -> t.TextDelta:
    return t.TextDelta(
        text=proto.text,
        choice=proto.choice,
        logprobs_json=proto.logprobs_json,
        citations_json=proto.citations_json,
        is_refusal=proto.is_refusal,
    )


def _opaque_delta_to_proto(event: t.OpaqueDelta) -> gen.GenerationEvent:
    delta = gen.OpaqueDelta(block=opaque_to_proto(event.block), choice=event.choice)
    return gen.GenerationEvent(opaque_delta=delta)


def _opaque_delta_from_proto(proto: gen.OpaqueDelta) -> t.OpaqueDelta:
    return t.OpaqueDelta(block=opaque_from_proto(proto.block), choice=proto.choice)


def _tool_call_delta_to_proto(event: t.ToolCallDelta) -> gen.GenerationEvent:
    delta = gen.ToolCallDelta(
        index=event.index,
        id=event.id,
        name=event.name,
        arguments_json_fragment=event.arguments_json_fragment,
        choice=event.choice,
        is_custom=event.is_custom,
        extra_json=event.extra_json,
        origin=event.origin,
    )
    return gen.GenerationEvent(tool_call_delta=delta)


def _tool_call_delta_from_proto(proto: gen.ToolCallDelta) -> t.ToolCallDelta:
    return t.ToolCallDelta(
        index=proto.index,
        id=proto.id,
        name=proto.name,
        arguments_json_fragment=proto.arguments_json_fragment,
        choice=proto.choice,
        is_custom=proto.is_custom,
        extra_json=proto.extra_json,
        origin=proto.origin,
    )


def _reasoning_delta_to_proto(event: t.ReasoningDelta) -> gen.GenerationEvent:
    delta = gen.ReasoningDelta(
        text=event.text,
        signature=event.signature,
        extra_json=event.extra_json,
        hidden=event.hidden,
        origin=event.origin,
        choice=event.choice,
    )
    return gen.GenerationEvent(reasoning_delta=delta)


def _reasoning_delta_from_proto(proto: gen.ReasoningDelta) -> t.ReasoningDelta:
    return t.ReasoningDelta(
        text=proto.text,
        signature=proto.signature,
        extra_json=proto.extra_json,
        hidden=proto.hidden,
        origin=proto.origin,
        choice=proto.choice,
    )


def _choice_finished_to_proto(event: t.ChoiceFinished) -> gen.GenerationEvent:
    finished = gen.ChoiceFinished(choice=event.choice, reason=_FINISH_TO_PROTO[event.reason])
    return gen.GenerationEvent(choice_finished=finished)


def _choice_finished_from_proto(proto: gen.ChoiceFinished) -> t.ChoiceFinished:
    return t.ChoiceFinished(choice=proto.choice, reason=_finish_reason_from(proto.reason))


def _finished_to_proto(event: t.Finished) -> gen.GenerationFinished:
    return gen.GenerationFinished(
        reason=_FINISH_TO_PROTO[event.reason],
        matched_stop=event.matched_stop,
        answered_by=candidate_to_proto(event.answered_by),
        attempts=event.attempts,
        cost_nano_usd=event.cost_nano_usd,
        unit_prices=unit_prices_to_proto(event.unit_prices),
        recoveries=[_recovery_to_proto(recovery) for recovery in event.recoveries],
        degraded=_DEGRADATION_TO_PROTO[event.degraded],
        stop_details=None if event.stop_details is None else _stop_details_to_proto(event.stop_details),
        service_tier=event.service_tier,
        stopped_by=event.stopped_by,
        unread=None if event.unread is None else opaque_to_proto(event.unread),
    )


def _finished_from_proto(proto: gen.GenerationFinished) -> t.Finished:
    return t.Finished(
        reason=_finish_reason_from(proto.reason),
        matched_stop=proto.matched_stop,
        answered_by=candidate_from_proto(proto.answered_by),
        attempts=proto.attempts,
        cost_nano_usd=proto.cost_nano_usd,
        unit_prices=unit_prices_from_proto(proto.unit_prices),
        recoveries=tuple([_recovery_from_proto(recovery) for recovery in proto.recoveries]),
        degraded=_DEGRADATION_FROM_PROTO.get(proto.degraded),
        stop_details=_stop_details_from_proto(proto.stop_details) if proto.HasField("stop_details") else None,
        service_tier=proto.service_tier,
        stopped_by=proto.stopped_by,
        unread=opaque_from_proto(proto.unread) if proto.HasField("unread") else None,
    )


def _stop_details_to_proto(details: t.StopDetails) -> gen.StopDetails:
    return gen.StopDetails(word=details.word, category=details.category, explanation=details.explanation)


def _stop_details_from_proto(proto: gen.StopDetails) -> t.StopDetails:
    return t.StopDetails(word=proto.word, category=proto.category, explanation=proto.explanation)


def _recovery_to_proto(recovery: t.Recovery) -> gen.Recovery:
    return gen.Recovery(
        broke=candidate_to_proto(recovery.broke),
        cause=recovery.cause,
        way=_WAY_TO_PROTO[recovery.way],
        delivered_characters=recovery.delivered_characters,
        usage=usage_to_proto(recovery.usage),
        cost_nano_usd=recovery.cost_nano_usd,
    )


def _recovery_from_proto(proto: gen.Recovery) -> t.Recovery:
    return t.Recovery(
        broke=candidate_from_proto(proto.broke),
        cause=proto.cause,
        way=_WAY_FROM_PROTO.get(proto.way, t.RecoveryWay.REGENERATED),
        delivered_characters=proto.delivered_characters,
        usage=usage_from_proto(proto.usage),
        cost_nano_usd=proto.cost_nano_usd,
    )


def _finish_reason_from(proto: gen.FinishReason) -> t.FinishReason:
    reason = _FINISH_FROM_PROTO.get(proto)
    if reason is None:
        # Taking it for a stop could pass a truncated answer off as a whole one.
        raise ValueError(f"a finish reason that this version does not know: {proto}")
    return reason


def degradation_to_proto(degradation: t.Degradation | None) -> gen.Degradation:
    """Return the wire form of what was given in the place of an answer."""
    return _DEGRADATION_TO_PROTO[degradation]


def finish_reason_to_proto(reason: t.FinishReason) -> gen.FinishReason:
    """Return the wire form of a finish reason."""
    return _FINISH_TO_PROTO[reason]


# A table instead of a chain of isinstance: this is done for every event, in every service.
_EVENT_TO_PROTO: dict[type[t.GenerationEvent], Callable[[Any], gen.GenerationEvent]] = {
    t.TextDelta: _text_delta_to_proto,
    t.OpaqueDelta: _opaque_delta_to_proto,
    t.ToolCallDelta: _tool_call_delta_to_proto,
    t.ReasoningDelta: _reasoning_delta_to_proto,
    t.ChoiceFinished: _choice_finished_to_proto,
    t.Usage: lambda event: gen.GenerationEvent(usage=usage_to_proto(event)),
    t.Started: _started_to_proto,
    t.Finished: lambda event: gen.GenerationEvent(finished=_finished_to_proto(event)),
}
_EVENT_FROM_PROTO: dict[str, Callable[[Any], t.GenerationEvent]] = {
    "text_delta": _text_delta_from_proto,
    "tool_call_delta": _tool_call_delta_from_proto,
    "reasoning_delta": _reasoning_delta_from_proto,
    "opaque_delta": _opaque_delta_from_proto,
    "choice_finished": _choice_finished_from_proto,
    "usage": usage_from_proto,
    "started": _started_from_proto,
    "finished": _finished_from_proto,
}

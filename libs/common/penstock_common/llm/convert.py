"""Maps the vocabulary to ``penstock.llm.v1`` and back.

``X_to_proto`` and ``X_from_proto`` are inverse on everything the contract can
say. An enum value that this version does not know is read as unset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.llm.v1 import generation_pb2 as gen
from penstock.llm.v1 import message_pb2 as msg
from penstock_common.llm import types as t

_ROLE_TO_PROTO = {
    t.Role.SYSTEM: msg.ROLE_SYSTEM,
    t.Role.DEVELOPER: msg.ROLE_DEVELOPER,
    t.Role.USER: msg.ROLE_USER,
    t.Role.ASSISTANT: msg.ROLE_ASSISTANT,
    t.Role.TOOL: msg.ROLE_TOOL,
}
_ROLE_FROM_PROTO = {number: role for role, number in _ROLE_TO_PROTO.items()}

_FINISH_TO_PROTO = {
    t.FinishReason.STOP: gen.FINISH_REASON_STOP,
    t.FinishReason.LENGTH: gen.FINISH_REASON_LENGTH,
    t.FinishReason.TOOL_CALLS: gen.FINISH_REASON_TOOL_CALLS,
    t.FinishReason.CONTENT_FILTER: gen.FINISH_REASON_CONTENT_FILTER,
}
_FINISH_FROM_PROTO = {number: reason for reason, number in _FINISH_TO_PROTO.items()}

_MODE_TO_PROTO = {
    t.ToolChoiceMode.AUTO: msg.ToolChoice.MODE_AUTO,
    t.ToolChoiceMode.NONE: msg.ToolChoice.MODE_NONE,
    t.ToolChoiceMode.REQUIRED: msg.ToolChoice.MODE_REQUIRED,
    t.ToolChoiceMode.NAMED: msg.ToolChoice.MODE_NAMED,
}
_MODE_FROM_PROTO = {number: mode for mode, number in _MODE_TO_PROTO.items()}

_DEFAULT_SAMPLING = t.SamplingParams()
_SAMPLING_SCALARS = (
    "temperature",
    "top_p",
    "top_k",
    "max_output_tokens",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "top_logprobs",
)


class UnknownRoleError(ValueError):
    """A message has no role, or one this version does not know."""

    def __init__(self, index: int) -> None:
        super().__init__(f"messages[{index}].role")
        self.index = index


def part_to_proto(part: t.ContentPart) -> msg.ContentPart:
    """Return the wire form of one content part."""
    breakpoint_ = part.cache_breakpoint
    if isinstance(part, t.Text):
        return msg.ContentPart(text=part.text, cache_breakpoint=breakpoint_)
    if isinstance(part, t.Image):
        image = msg.Image(media_type=part.media_type, detail=part.detail)
        if part.url:
            image.url = part.url
        else:
            image.data = part.data
        return msg.ContentPart(image=image, cache_breakpoint=breakpoint_)
    if isinstance(part, t.File):
        file = msg.File(name=part.name, media_type=part.media_type, data=part.data)
        return msg.ContentPart(file=file, cache_breakpoint=breakpoint_)
    reasoning = msg.Reasoning(text=part.text, signature=part.signature)
    return msg.ContentPart(reasoning=reasoning, cache_breakpoint=breakpoint_)


def part_from_proto(part: msg.ContentPart) -> t.ContentPart:
    """Return the value of one content part; one with nothing set reads as empty text."""
    kind = part.WhichOneof("part")
    if kind == "image":
        image = part.image
        return t.Image(
            url=image.url,
            data=image.data,
            media_type=image.media_type,
            detail=image.detail,
            cache_breakpoint=part.cache_breakpoint,
        )
    if kind == "file":
        file = part.file
        return t.File(
            name=file.name, media_type=file.media_type, data=file.data, cache_breakpoint=part.cache_breakpoint
        )
    if kind == "reasoning":
        return t.Reasoning(
            text=part.reasoning.text, signature=part.reasoning.signature, cache_breakpoint=part.cache_breakpoint
        )
    return t.Text(text=part.text, cache_breakpoint=part.cache_breakpoint)


def message_to_proto(message: t.Message) -> msg.Message:
    """Return the wire form of one turn."""
    return msg.Message(
        role=_ROLE_TO_PROTO[message.role],
        parts=[part_to_proto(part) for part in message.parts],
        tool_calls=[
            msg.ToolCall(id=call.id, name=call.name, arguments_json=call.arguments_json) for call in message.tool_calls
        ],
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def message_from_proto(message: msg.Message, index: int = 0) -> t.Message:
    """Return the value of one turn.

    Raises:
        UnknownRoleError: if the role is unset or unknown; ``index`` is the turn's place.
    """
    role = _ROLE_FROM_PROTO.get(message.role)
    if role is None:
        raise UnknownRoleError(index)
    return t.Message(
        role=role,
        parts=tuple(part_from_proto(part) for part in message.parts),
        tool_calls=tuple(
            t.ToolCall(id=call.id, name=call.name, arguments_json=call.arguments_json) for call in message.tool_calls
        ),
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def input_to_proto(value: t.GenerationInput) -> gen.GenerationInput:
    """Return the wire form of a generation's input."""
    proto = gen.GenerationInput(
        model=value.model,
        messages=[message_to_proto(message) for message in value.messages],
        sampling=_sampling_to_proto(value.sampling),
        extra_json=value.extra_json,
    )
    if value.tools:
        proto.tools.extend(_tool_to_proto(tool) for tool in value.tools)
    if value.tool_choice is not None:
        proto.tool_choice.CopyFrom(_tool_choice_to_proto(value.tool_choice))
    if value.response_format is not None:
        proto.response_format.CopyFrom(_response_format_to_proto(value.response_format))
    return proto


def input_from_proto(proto: gen.GenerationInput) -> t.GenerationInput:
    """Return the value of a generation's input.

    Raises:
        UnknownRoleError: if a turn has no known role.
    """
    return t.GenerationInput(
        model=proto.model,
        messages=tuple(message_from_proto(message, index) for index, message in enumerate(proto.messages)),
        tools=tuple(_tool_from_proto(tool) for tool in proto.tools),
        tool_choice=_tool_choice_from_proto(proto.tool_choice) if proto.HasField("tool_choice") else None,
        sampling=_sampling_from_proto(proto.sampling),
        response_format=_response_format_from_proto(proto.response_format),
        extra_json=proto.extra_json,
    )


def _response_format_to_proto(value: t.ResponseFormat) -> gen.ResponseFormat:
    if isinstance(value, t.JsonObject):
        return gen.ResponseFormat(json_object=True)
    schema = gen.JsonSchema(
        name=value.name,
        schema_json=value.schema_json,
        strict=value.strict,  # type: ignore[arg-type]  # None leaves it unset
        description=value.description,
    )
    return gen.ResponseFormat(json_schema=schema)


def _tool_to_proto(tool: t.Tool) -> msg.Tool:
    return msg.Tool(
        name=tool.name,
        description=tool.description,
        parameters_json=tool.parameters_json,
        strict=tool.strict,  # type: ignore[arg-type]  # None leaves it unset
    )


def _tool_from_proto(tool: msg.Tool) -> t.Tool:
    return t.Tool(
        name=tool.name,
        description=tool.description,
        parameters_json=tool.parameters_json,
        strict=tool.strict if tool.HasField("strict") else None,
    )


def _tool_choice_to_proto(choice: t.ToolChoice) -> msg.ToolChoice:
    mode = msg.ToolChoice.MODE_UNSPECIFIED if choice.mode is None else _MODE_TO_PROTO[choice.mode]
    return msg.ToolChoice(
        mode=mode,
        tool_name=choice.tool_name,
        parallel=choice.parallel,  # type: ignore[arg-type]  # None leaves it unset
    )


def _tool_choice_from_proto(choice: msg.ToolChoice) -> t.ToolChoice:
    return t.ToolChoice(
        mode=_MODE_FROM_PROTO.get(choice.mode),
        tool_name=choice.tool_name,
        parallel=choice.parallel if choice.HasField("parallel") else None,
    )


def _sampling_to_proto(sampling: t.SamplingParams) -> gen.SamplingParams:
    if sampling is _DEFAULT_SAMPLING or sampling == _DEFAULT_SAMPLING:
        return gen.SamplingParams()
    # Passing None leaves an optional field unset.
    return gen.SamplingParams(
        stop=sampling.stop,
        reasoning_effort=sampling.reasoning_effort,
        **{name: getattr(sampling, name) for name in _SAMPLING_SCALARS},
    )


def _sampling_from_proto(proto: gen.SamplingParams) -> t.SamplingParams:
    present = {field.name: value for field, value in proto.ListFields()}
    if "stop" in present:
        present["stop"] = tuple(present["stop"])
    return t.SamplingParams(**present)


def _response_format_from_proto(proto: gen.ResponseFormat) -> t.ResponseFormat | None:
    kind = proto.WhichOneof("format")
    if kind == "json_object":
        return t.JsonObject() if proto.json_object else None
    if kind == "json_schema":
        schema = proto.json_schema
        return t.JsonSchema(
            name=schema.name,
            schema_json=schema.schema_json,
            strict=schema.strict if schema.HasField("strict") else None,
            description=schema.description,
        )
    return None


def candidate_to_proto(candidate: t.Candidate) -> gen.Candidate:
    """Return the wire form of a candidate."""
    return gen.Candidate(upstream=candidate.upstream, model=candidate.model)


def candidate_from_proto(proto: gen.Candidate) -> t.Candidate:
    """Return the value of a candidate."""
    return t.Candidate(upstream=proto.upstream, model=proto.model)


def plan_to_proto(plan: t.Plan) -> gen.Plan:
    """Return the wire form of a plan."""
    proto = gen.Plan(
        candidates=[candidate_to_proto(candidate) for candidate in plan.candidates],
        reason=plan.reason,
        prices=[unit_prices_to_proto(prices) for prices in plan.prices],
    )
    if plan.classification is not None:
        seen = plan.classification
        proto.classification.CopyFrom(
            gen.Classification(task=seen.task, complexity=seen.complexity, confidence=seen.confidence)
        )
    return proto


def plan_from_proto(proto: gen.Plan) -> t.Plan:
    """Return the value of a plan."""
    classification = None
    if proto.HasField("classification"):
        seen = proto.classification
        classification = t.Classification(task=seen.task, complexity=seen.complexity, confidence=seen.confidence)
    return t.Plan(
        candidates=tuple(candidate_from_proto(candidate) for candidate in proto.candidates),
        reason=proto.reason,
        classification=classification,
        prices=tuple(unit_prices_from_proto(prices) for prices in proto.prices),
    )


def usage_to_proto(usage: t.Usage) -> gen.TokenUsage:
    """Return the wire form of a usage."""
    return gen.TokenUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        estimated=usage.estimated,
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
    )
    return gen.GenerationEvent(started=started)


def _started_from_proto(proto: gen.GenerationStarted) -> t.Started:
    return t.Started(
        generation_id=proto.generation_id,
        answered_by=candidate_from_proto(proto.answered_by),
        unit_prices=unit_prices_from_proto(proto.unit_prices),
    )


def _tool_call_delta_to_proto(event: t.ToolCallDelta) -> gen.GenerationEvent:
    delta = gen.ToolCallDelta(
        index=event.index,
        id=event.id,
        name=event.name,
        arguments_json_fragment=event.arguments_json_fragment,
    )
    return gen.GenerationEvent(tool_call_delta=delta)


def _tool_call_delta_from_proto(proto: gen.ToolCallDelta) -> t.ToolCallDelta:
    return t.ToolCallDelta(
        index=proto.index, id=proto.id, name=proto.name, arguments_json_fragment=proto.arguments_json_fragment
    )


def _reasoning_delta_to_proto(event: t.ReasoningDelta) -> gen.GenerationEvent:
    return gen.GenerationEvent(reasoning_delta=gen.ReasoningDelta(text=event.text, signature=event.signature))


def _finished_to_proto(event: t.Finished) -> gen.GenerationFinished:
    return gen.GenerationFinished(
        reason=_FINISH_TO_PROTO[event.reason],
        matched_stop=event.matched_stop,
        answered_by=candidate_to_proto(event.answered_by),
        attempts=event.attempts,
        cost_nano_usd=event.cost_nano_usd,
        unit_prices=unit_prices_to_proto(event.unit_prices),
    )


def _finished_from_proto(proto: gen.GenerationFinished) -> t.Finished:
    reason = _FINISH_FROM_PROTO.get(proto.reason)
    if reason is None:
        # Taking it for a stop could pass a truncated answer off as a whole one.
        raise ValueError(f"a finish reason that this version does not know: {proto.reason}")
    return t.Finished(
        reason=reason,
        matched_stop=proto.matched_stop,
        answered_by=candidate_from_proto(proto.answered_by),
        attempts=proto.attempts,
        cost_nano_usd=proto.cost_nano_usd,
        unit_prices=unit_prices_from_proto(proto.unit_prices),
    )


def unit_prices_to_proto(prices: t.UnitPrices) -> gen.UnitPrices:
    """Return the wire form of prices."""
    return gen.UnitPrices(
        input_nano_usd=prices.input_nano_usd,
        cached_input_nano_usd=prices.cached_input_nano_usd,
        output_nano_usd=prices.output_nano_usd,
    )


def unit_prices_from_proto(proto: gen.UnitPrices) -> t.UnitPrices:
    """Return the value of prices."""
    return t.UnitPrices(
        input_nano_usd=proto.input_nano_usd,
        cached_input_nano_usd=proto.cached_input_nano_usd,
        output_nano_usd=proto.output_nano_usd,
    )


def finish_reason_to_proto(reason: t.FinishReason) -> gen.FinishReason:
    """Return the wire form of a finish reason."""
    return _FINISH_TO_PROTO[reason]


def context_from_proto(proto: gen.RequestContext) -> t.RequestContext:
    """Return the value of a request's context."""
    return t.RequestContext(user=proto.user, feature=proto.feature, tags=dict(proto.tags))


# A table instead of a chain of isinstance: this is done for every event, in every service.
_EVENT_TO_PROTO: dict[type[t.GenerationEvent], Callable[[Any], gen.GenerationEvent]] = {
    t.TextDelta: lambda event: gen.GenerationEvent(text_delta=gen.TextDelta(text=event.text)),
    t.ToolCallDelta: _tool_call_delta_to_proto,
    t.ReasoningDelta: _reasoning_delta_to_proto,
    t.Usage: lambda event: gen.GenerationEvent(usage=usage_to_proto(event)),
    t.Started: _started_to_proto,
    t.Finished: lambda event: gen.GenerationEvent(finished=_finished_to_proto(event)),
}
_EVENT_FROM_PROTO: dict[str, Callable[[Any], t.GenerationEvent]] = {
    "text_delta": lambda delta: t.TextDelta(text=delta.text),
    "tool_call_delta": _tool_call_delta_from_proto,
    "reasoning_delta": lambda delta: t.ReasoningDelta(text=delta.text, signature=delta.signature),
    "usage": usage_from_proto,
    "started": _started_from_proto,
    "finished": _finished_from_proto,
}

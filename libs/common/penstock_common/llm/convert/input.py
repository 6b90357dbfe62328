"""What a caller asks for, as ``penstock.llm.v1`` writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

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
    "choices",
)


class UnknownRoleError(ValueError):
    """A message has no role, or one this version does not know."""

    def __init__(self, index: int) -> None:
        super().__init__(f"messages[{index}].role")
        self.index = index


def role_to_proto(role: t.Role) -> Any:
    """Return the wire's number of a role."""
    return _ROLE_TO_PROTO[role]


def role_from_proto(number: int) -> t.Role | None:
    """Return the role; None for one that this version does not know."""
    return _ROLE_FROM_PROTO.get(cast("Any", number))


def part_to_proto(part: t.ContentPart) -> msg.ContentPart:
    """Return the wire form of one content part."""
    proto = _PART_TO_PROTO[type(part)](part)
    if part.cache_breakpoint:
        proto.cache_breakpoint = True
    if part.cache_ttl:
        proto.cache_ttl = part.cache_ttl
    return proto


def _text_to_proto(part: t.Text) -> msg.ContentPart:
    return msg.ContentPart(text=part.text, citations_json=part.citations_json)


def _image_to_proto(part: t.Image) -> msg.ContentPart:
    image = msg.Image(media_type=part.media_type, detail=part.detail)
    if part.url:
        image.url = part.url
    else:
        image.data = part.data
    return msg.ContentPart(image=image)


def _file_to_proto(part: t.File) -> msg.ContentPart:
    file = msg.File(
        name=part.name,
        media_type=part.media_type,
        data=part.data,
        url=part.url,
        id=part.id,
        context=part.context,
        with_citations=part.with_citations,
    )
    return msg.ContentPart(file=file)


def _reasoning_to_proto(part: t.Reasoning) -> msg.ContentPart:
    reasoning = msg.Reasoning(
        text=part.text,
        signature=part.signature,
        extra_json=part.extra_json,
        hidden=part.hidden,
        origin=part.origin,
    )
    return msg.ContentPart(reasoning=reasoning)


_PART_TO_PROTO: dict[type[t.ContentPart], Callable[[Any], msg.ContentPart]] = {
    t.Text: _text_to_proto,
    t.Image: _image_to_proto,
    t.File: _file_to_proto,
    t.Reasoning: _reasoning_to_proto,
    t.Opaque: lambda part: msg.ContentPart(opaque=opaque_to_proto(part)),
}


def part_from_proto(part: msg.ContentPart) -> t.ContentPart:
    """Return the value of one content part; one with nothing set reads as empty text."""
    kind = part.WhichOneof("part")
    breakpoint_, ttl = part.cache_breakpoint, part.cache_ttl
    if kind == "image":
        image = part.image
        return t.Image(
            url=image.url,
            data=image.data,
            media_type=image.media_type,
            detail=image.detail,
            cache_breakpoint=breakpoint_,
            cache_ttl=ttl,
        )
    if kind == "file":
        file = part.file
        return t.File(
            name=file.name,
            media_type=file.media_type,
            data=file.data,
            url=file.url,
            id=file.id,
            context=file.context,
            with_citations=file.with_citations,
            cache_breakpoint=breakpoint_,
            cache_ttl=ttl,
        )
    if kind == "reasoning":
        reasoning = part.reasoning
        return t.Reasoning(
            text=reasoning.text,
            signature=reasoning.signature,
            extra_json=reasoning.extra_json,
            hidden=reasoning.hidden,
            origin=reasoning.origin,
            cache_breakpoint=breakpoint_,
            cache_ttl=ttl,
        )
    if kind == "opaque":
        block = part.opaque
        return t.Opaque(format=block.format, json=block.json, cache_breakpoint=breakpoint_, cache_ttl=ttl)
    return t.Text(text=part.text, cache_breakpoint=breakpoint_, cache_ttl=ttl, citations_json=part.citations_json)


def opaque_to_proto(block: t.Opaque) -> msg.OpaqueBlock:
    """Return the wire form of a block that only one format knows."""
    return msg.OpaqueBlock(format=block.format, json=block.json)


def opaque_from_proto(proto: msg.OpaqueBlock) -> t.Opaque:
    """Return the value of a block that only one format knows."""
    return t.Opaque(format=proto.format, json=proto.json)


def message_to_proto(message: t.Message) -> msg.Message:
    """Return the wire form of one turn."""
    return msg.Message(
        role=_ROLE_TO_PROTO[message.role],
        parts=[part_to_proto(part) for part in message.parts],
        tool_calls=[_tool_call_to_proto(call) for call in message.tool_calls],
        tool_call_id=message.tool_call_id,
        name=message.name,
        is_error=message.is_error,
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
        tool_calls=tuple([_tool_call_from_proto(call) for call in message.tool_calls]),
        tool_call_id=message.tool_call_id,
        name=message.name,
        is_error=message.is_error,
    )


def _tool_call_to_proto(call: t.ToolCall) -> msg.ToolCall:
    return msg.ToolCall(
        id=call.id,
        name=call.name,
        arguments_json=call.arguments_json,
        extra_json=call.extra_json,
        origin=call.origin,
        is_custom=call.is_custom,
        parts_before=call.parts_before,  # None leaves it unset
    )


def _tool_call_from_proto(call: msg.ToolCall) -> t.ToolCall:
    return t.ToolCall(
        id=call.id,
        name=call.name,
        arguments_json=call.arguments_json,
        extra_json=call.extra_json,
        origin=call.origin,
        is_custom=call.is_custom,
        parts_before=call.parts_before if call.HasField("parts_before") else None,
    )


def input_to_proto(value: t.GenerationInput) -> gen.GenerationInput:
    """Return the wire form of a generation's input."""
    proto = gen.GenerationInput(
        model=value.model,
        messages=[message_to_proto(message) for message in value.messages],
        sampling=sampling_to_proto(value.sampling),
        extra_json=value.extra_json,
        hints_json=value.hints_json,
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
        sampling=sampling_from_proto(proto.sampling),
        response_format=_response_format_from_proto(proto.response_format),
        extra_json=proto.extra_json,
        hints_json=proto.hints_json,
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
        custom_json=tool.custom_json,
        cache_breakpoint=tool.cache_breakpoint,
        cache_ttl=tool.cache_ttl,
        opaque=None if tool.opaque is None else opaque_to_proto(tool.opaque),
    )


def _tool_from_proto(tool: msg.Tool) -> t.Tool:
    return t.Tool(
        name=tool.name,
        description=tool.description,
        parameters_json=tool.parameters_json,
        strict=tool.strict if tool.HasField("strict") else None,
        custom_json=tool.custom_json,
        cache_breakpoint=tool.cache_breakpoint,
        cache_ttl=tool.cache_ttl,
        opaque=opaque_from_proto(tool.opaque) if tool.HasField("opaque") else None,
    )


def _tool_choice_to_proto(choice: t.ToolChoice) -> msg.ToolChoice:
    mode = msg.ToolChoice.MODE_UNSPECIFIED if choice.mode is None else _MODE_TO_PROTO[choice.mode]
    return msg.ToolChoice(
        mode=mode,
        tool_name=choice.tool_name,
        parallel=choice.parallel,  # type: ignore[arg-type]  # None leaves it unset
        allowed_tools=choice.allowed_tools,
    )


def _tool_choice_from_proto(choice: msg.ToolChoice) -> t.ToolChoice:
    return t.ToolChoice(
        mode=_MODE_FROM_PROTO.get(choice.mode),
        tool_name=choice.tool_name,
        parallel=choice.parallel if choice.HasField("parallel") else None,
        allowed_tools=tuple(choice.allowed_tools),
    )


def sampling_to_proto(sampling: t.SamplingParams) -> gen.SamplingParams:
    """Return the wire form of sampling knobs."""
    if sampling is _DEFAULT_SAMPLING or sampling == _DEFAULT_SAMPLING:
        return gen.SamplingParams()
    # Passing None leaves an optional field unset.
    return gen.SamplingParams(
        stop=sampling.stop,
        reasoning_effort=sampling.reasoning_effort,
        **{name: getattr(sampling, name) for name in _SAMPLING_SCALARS},
    )


def sampling_from_proto(proto: gen.SamplingParams) -> t.SamplingParams:
    """Return the value of sampling knobs."""
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


def context_from_proto(proto: gen.RequestContext) -> t.RequestContext:
    """Return the value of a request's context."""
    return t.RequestContext(user=proto.user, feature=proto.feature, tags=dict(proto.tags))

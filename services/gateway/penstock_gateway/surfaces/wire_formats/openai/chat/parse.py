"""Turns the bytes of a chat-completions request into the suite's vocabulary.

Only shape and types are checked here; sizes and ranges are the domain's, once
for every surface. What Penstock cannot honour is refused by name; what it does
not know travels on verbatim. Nothing is dropped in silence.
"""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.types import (
    GenerationInput,
    JsonObject,
    JsonSchema,
    RequestContext,
    ResponseFormat,
    SamplingParams,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_gateway.surfaces.wire_formats.format import ReadRequest
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object, shortened
from penstock_gateway.surfaces.wire_formats.openai.chat import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.chat.turns import parse_turns, verbatim_object
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null, stop_strings, verbatim_members, wants_usage

_REQUEST = msgspec.json.Decoder(wire.ChatCompletionRequest)

_CHOICES = {
    "messages[].content[].type": "one of 'text', 'image_url', 'file' and 'refusal'",
    "messages[].content[].cache_control.type": "'ephemeral'",
    "messages[].content[].prompt_cache_breakpoint.mode": "'explicit'",
    "messages[].tool_calls[].type": "'function'",
    "tools[].type": "'function'",
    "tool_choice.type": "'function'",
    "response_format.type": "one of 'text', 'json_object' and 'json_schema'",
}
_READ = frozenset(field.encode_name for field in msgspec.structs.fields(wire.ChatCompletionRequest))
_REFUSED = {
    "functions": "Use 'tools' instead.",
    "function_call": "Use 'tool_choice' instead.",
    "audio": "Only text is generated.",
    "prediction": "Leave it out.",
    "web_search_options": "Leave it out.",
}
_TOOL_CHOICE_MODES = {
    "auto": ToolChoiceMode.AUTO,
    "none": ToolChoiceMode.NONE,
    "required": ToolChoiceMode.REQUIRED,
}
_DEFAULT_SERVICE_TIERS = (None, "auto", "default")


def parse_chat_request(body: bytes) -> ReadRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    members = read_members(body)
    request = read_object(_REQUEST, body, _CHOICES)
    _refuse_what_is_not_built(request, members)
    return ReadRequest(
        input=GenerationInput(
            model=request.model,
            messages=parse_turns(request.messages),
            tools=tuple([_tool(tool, index) for index, tool in enumerate(request.tools)]) if request.tools else (),
            tool_choice=_tool_choice(request),
            sampling=_sampling(request),
            response_format=_response_format(request.response_format),
            extra_json=_extra_json(request, members),
        ),
        context=RequestContext(
            user=request.user or request.safety_identifier or "",
            tags=request.metadata or {},
        ),
        stream=request.stream is True,
        include_usage=request.stream_options is not None
        and wants_usage(request.stream_options, stream=request.stream is True),
    )


def _refuse_what_is_not_built(request: wire.ChatCompletionRequest, members: dict[str, msgspec.Raw]) -> None:
    for name in _REFUSED.keys() & members.keys():
        if not is_null(members[name]):
            raise UnsupportedParameter(f"'{name}' is not supported. {_REFUSED[name]}", parameter=name)
    if request.n not in (None, 1):
        raise UnsupportedParameter(f"'n' must be 1, not {request.n}: one answer a request.", parameter="n")
    if request.logprobs:
        raise UnsupportedParameter(
            "'logprobs' is not supported; leave it out or set it to false.", parameter="logprobs"
        )
    if request.top_logprobs:
        raise UnsupportedParameter("'top_logprobs' is not supported; leave it out.", parameter="top_logprobs")
    if request.store:
        raise UnsupportedParameter(
            "'store' is not supported, answers are not kept; leave it out or set it to false.", parameter="store"
        )
    if request.modalities not in (None, [], ["text"]):
        raise UnsupportedParameter("'modalities' must be [\"text\"]: only text is generated.", parameter="modalities")


def _sampling(request: wire.ChatCompletionRequest) -> SamplingParams:
    return SamplingParams(
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        max_output_tokens=_max_output_tokens(request),
        stop=stop_strings(request.stop) if request.stop is not None else (),
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        reasoning_effort=request.reasoning_effort or "",
    )


def _max_output_tokens(request: wire.ChatCompletionRequest) -> int | None:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidRequest(
            f"'max_tokens' is {old} but 'max_completion_tokens' is {new}; give one of them.", field="max_tokens"
        )
    limit = old if new is None else new
    if limit is not None and limit < 1:
        # The domain knows one name for both.
        field = "max_tokens" if new is None else "max_completion_tokens"
        raise InvalidRequest(f"'{field}' must be at least 1, not {limit}.", field=field)
    return limit


def _tool(tool: wire.FunctionTool | wire.CustomTool, index: int) -> Tool:
    if isinstance(tool, wire.CustomTool):
        raise UnsupportedParameter(
            f"'tools[{index}].custom' is not supported; declare a function.", parameter=f"tools[{index}].custom"
        )
    function = tool.function
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters_json=verbatim_object(function.parameters, "tools[{}].function.parameters", index),
        strict=function.strict,
    )


def _tool_choice(request: wire.ChatCompletionRequest) -> ToolChoice | None:
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    if isinstance(choice, wire.FunctionChoice):
        return ToolChoice(mode=ToolChoiceMode.NAMED, tool_name=choice.function.name, parallel=parallel)
    if not isinstance(choice, str):
        kind = choice.__struct_config__.tag
        raise UnsupportedParameter(
            f"'tool_choice' of type '{kind}' is not supported; name a function.", parameter="tool_choice"
        )
    mode = _TOOL_CHOICE_MODES.get(choice)
    if mode is None:
        raise InvalidRequest(
            f"'tool_choice' must be 'none', 'auto', 'required' or an object that names a function, "
            f"but is '{shortened(choice)}'.",
            field="tool_choice",
        )
    return ToolChoice(mode=mode, parallel=parallel)


def _response_format(
    wanted: wire.TextFormat | wire.JsonObjectFormat | wire.JsonSchemaFormat | None,
) -> ResponseFormat | None:
    if wanted is None or isinstance(wanted, wire.TextFormat):
        return None
    if isinstance(wanted, wire.JsonObjectFormat):
        return JsonObject()
    schema = wanted.json_schema
    return JsonSchema(
        name=schema.name,
        schema_json=verbatim_object(schema.schema, "response_format.json_schema.schema"),
        strict=schema.strict,
        description=schema.description or "",
    )


def _extra_json(request: wire.ChatCompletionRequest, members: dict[str, msgspec.Raw]) -> str:
    """Return one object of all members that Penstock does not read, in their order, or ''."""
    names = [name for name in members if name not in _READ and name not in _REFUSED]
    if request.service_tier not in _DEFAULT_SERVICE_TIERS:
        names.append("service_tier")
    if request.user and request.safety_identifier and request.user != request.safety_identifier:
        # The context holds one user; the upstream gets the other.
        names.append("safety_identifier")
    return verbatim_members(members, names) if names else ""

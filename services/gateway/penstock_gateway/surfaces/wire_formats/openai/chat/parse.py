"""Turns the bytes of a chat-completions request into the suite's vocabulary.

Only shape and types are checked here; sizes and ranges are the domain's, once
for every surface. What no answer of ours could carry is refused by name; what
Penstock does not know travels on verbatim. Nothing is dropped in silence.
"""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import (
    GenerationInput,
    JsonObject,
    JsonSchema,
    RequestContext,
    ResponseFormat,
    SamplingParams,
)
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM, AnswerForm, ReadRequest
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.openai.chat import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.chat.prompt import prompt_of
from penstock_gateway.surfaces.wire_formats.openai.chat.tools import tool_choice_of, tools_of
from penstock_gateway.surfaces.wire_formats.openai.chat.turns import parse_turns, verbatim_object
from penstock_gateway.surfaces.wire_formats.openai.fields import (
    hints_in,
    is_null,
    stop_strings,
    verbatim_members,
    wants_usage,
    whole_number,
)
from penstock_gateway.surfaces.wire_formats.openai.knowledge import CHOICES, use_of
from penstock_gateway.surfaces.wire_formats.openai.wire import ABSENT

_REQUEST = msgspec.json.Decoder(wire.ChatCompletionRequest)

_CHOICES = {
    "messages[].content[].type": "one of 'text', 'image_url', 'file' and 'refusal'",
    "messages[].content[].cache_control.type": "'ephemeral'",
    "messages[].content[].prompt_cache_breakpoint.mode": "'explicit'",
    "messages[].tool_calls[].type": "'function' or 'custom'",
    "tools[].type": "'function' or 'custom'",
    "tool_choice.type": "'function', 'custom' or 'allowed_tools'",
    "tool_choice.allowed_tools.mode": "'auto' or 'required'",
    "tool_choice.allowed_tools.tools[].type": "'function' or 'custom'",
    **CHOICES,
    "response_format.type": "one of 'text', 'json_object' and 'json_schema'",
}
_READ = frozenset(field.encode_name for field in msgspec.structs.fields(wire.ChatCompletionRequest)) | HINTS
_FUNCTIONS = AnswerForm(functions=True)
_DEFAULT_SERVICE_TIERS = (None, "auto", "default")


def parse_chat_request(body: bytes) -> ReadRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    members = read_members(body)
    request = read_object(_REQUEST, body, _CHOICES)
    if "model" not in members or "messages" not in members:
        _refuse_what_is_missing(request, members)
    _refuse_what_is_not_carried(request)
    has_no_choice = (
        request.tool_choice is request.parallel_tool_calls is request.functions is request.function_call is None
    )
    return ReadRequest(
        input=GenerationInput(
            model=request.model,
            messages=parse_turns(request.messages) if request.messages or request.prompt is None else (),
            tools=tools_of(request) if request.tools or request.functions else (),
            tool_choice=None if has_no_choice else tool_choice_of(request),
            sampling=_sampling(request),
            response_format=_response_format(request.response_format),
            extra_json=_extra_json(request, members),
            hints_json=hints_in(members) if HINTS & members.keys() else "",
        ),
        context=RequestContext(
            user=request.user or request.safety_identifier or "",
            tags=request.metadata or {},
        ),
        stream=request.stream is True,
        include_usage=request.stream_options is not None
        and wants_usage(request.stream_options, stream=request.stream is True),
        form=_FUNCTIONS if request.functions else USUAL_FORM,
        prompt=None if request.prompt is None else prompt_of(request.prompt),
        knowledge=None if request.knowledge is None else use_of(request.knowledge),
    )


def _refuse_what_is_missing(request: wire.ChatCompletionRequest, members: dict[str, msgspec.Raw]) -> None:
    if request.prompt is None:
        field = "messages" if "model" in members else "model"
        raise InvalidRequest(f"'{field}' is required, but it is missing.", field=field)


def _refuse_what_is_not_carried(request: wire.ChatCompletionRequest) -> None:
    speaks = request.audio is not ABSENT and not is_null(request.audio)
    if speaks or request.modalities not in (None, [], ["text"]):
        field = "audio" if speaks else "modalities"
        raise UnsupportedParameter(
            f'\'{field}\' is not supported: an answer\'s sound is not carried. Ask for text, "modalities": ["text"].',
            parameter=field,
        )
    if request.top_logprobs and not request.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs': true.", field="top_logprobs")
    if request.tools and request.functions:
        raise InvalidRequest("'functions' is the older form of 'tools'; give one of them.", field="functions")


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
        top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        choices=None if request.n == 1 else request.n,
    )


def _max_output_tokens(request: wire.ChatCompletionRequest) -> int | None:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None:
        old = whole_number(old, "max_tokens")
    if new is not None:
        new = whole_number(new, "max_completion_tokens")
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
    names = [name for name in members if name not in _READ]
    if request.service_tier not in _DEFAULT_SERVICE_TIERS:
        names.append("service_tier")
    return verbatim_members(members, names) if names else ""
